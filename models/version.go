package models

import (
	"cmp"
	"strconv"
	"strings"
)

// CompareVersions orders two software versions as dot-separated numbers, missing parts being 0: negative if a is the older one. ok is false
// if either is no such version; then they are the same only if their texts are (i4.md B.7).
func CompareVersions(a, b string) (order int, ok bool) {
	x, ok := versionParts(a)
	y, ok2 := versionParts(b)
	if !ok || !ok2 {
		return 0, false
	}
	for i := range max(len(x), len(y)) {
		var m, n int
		if i < len(x) {
			m = x[i]
		}
		if i < len(y) {
			n = y[i]
		}
		if m != n {
			return cmp.Compare(m, n), true
		}
	}
	return 0, true
}

// SameVersion tells whether two texts are one version.
func SameVersion(a, b string) bool {
	order, ok := CompareVersions(a, b)
	return a == b || ok && order == 0
}

// TooOld tells whether a version is below a minimum, of which the empty one asks for nothing; a version that is not dot-separated numbers must be the
// minimum itself (i4.md B.7).
func TooOld(version, minimum string) bool {
	if minimum == "" {
		return false
	}
	order, ok := CompareVersions(version, minimum)
	return order < 0 || !ok && version != minimum
}

func versionParts(version string) (list []int, ok bool) {
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}
