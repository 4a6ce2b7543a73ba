package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/softacs/softacs/models"
)

// newVersion is what the demo upgrades a client to.
const newVersion = "2.1.0"

// upgrade brings a package and lets the device of an account fetch it (6.1.7).
func (b *bss) upgrade(ctx context.Context, account string) error {
	id, err := b.upload(ctx, []byte(strings.Repeat("not a program, but as long as one\n", 10_000)))
	if err != nil {
		return fmt.Errorf("bring a package: %w", err)
	}
	device, err := b.device(ctx, account)
	if err != nil || device == "" {
		return err
	}
	return b.do(ctx, `mutation($input: CreateDeviceTaskInput!) { createDeviceTask(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{"idempotencyKey": "upgrade-" + account, "device": map[string]any{"id": device}, "kind": "DOWNLOAD", "packageId": id},
	}, &struct{}{})
}

// upload announces a package for PC clients, puts its file and completes it.
func (b *bss) upload(ctx context.Context, file []byte) (packageID string, err error) {
	sum := sha256.Sum256(file)
	var begun struct {
		Package struct{ ID string }
		Upload  struct {
			URL     string
			Headers []struct{ Name, Value string }
		}
	}
	err = b.do(ctx, `mutation($input: StartPackageUploadInput!) { startPackageUpload(input: $input) { package { id } upload { url headers { name value } } userErrors { message } } }`, map[string]any{
		"input": map[string]any{
			"idempotencyKey": "demo-" + newVersion, "name": "imspc-" + newVersion + ".exe", "softwareVersion": newVersion, "clientType": models.PC,
			"models": []string{}, "size": len(file), "sha256": hex.EncodeToString(sum[:]),
		},
	}, &begun)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, b.north+begun.Upload.URL, bytes.NewReader(file))
	if err != nil {
		return "", err
	}
	for _, h := range begun.Upload.Headers {
		r.Header.Set(h.Name, h.Value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("PUT %s: HTTP %d", begun.Upload.URL, answer.StatusCode)
	}
	return begun.Package.ID, b.do(ctx, `mutation($input: TargetActionInput!) { completePackageUpload(input: $input) { userErrors { message } } }`, map[string]any{
		"input": map[string]any{"id": begun.Package.ID},
	}, &struct{}{})
}
