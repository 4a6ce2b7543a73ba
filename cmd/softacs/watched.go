package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softacs/softacs/models"
)

// certificateCheck is how often the files are looked at, by handshakes and scrapes.
const certificateCheck = 2 * time.Second

// watchedFiles are files that belong together. Files that changed are read again, whether they were written or a link was changed; what cannot be used
// leaves in place what was good, and is complained of once.
type watchedFiles struct {
	what  string // they are, in a sentence
	paths []string
	clock models.Clock
	// use takes what the files hold, in the order of paths, when any of them changed. After an error everything is as it was.
	use func(files [][]byte) error

	// failures counts changes that could not be used.
	failures atomic.Int64

	checking sync.Mutex // guards what follows
	checked  models.Time
	tried    [][]byte // what was read last, good or bad
	outcome  error    // of what was tried
	problem  string   // with the files as they are; empty: none
}

// load reads the files for the first time, when they have to be good; key is the setting that names them.
func (w *watchedFiles) load(key string) error {
	w.checking.Lock()
	defer w.checking.Unlock()
	w.checked = w.clock.Now()
	if _, err := w.read(); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// read reads the files and tells whether they were used. Files that are what they were bring the error that they had then.
func (w *watchedFiles) read() (bool, error) {
	var files [][]byte
	for _, path := range w.paths {
		file, err := os.ReadFile(path)
		if err != nil {
			return false, err
		}
		files = append(files, file)
	}
	if slices.EqualFunc(files, w.tried, bytes.Equal) {
		return false, w.outcome
	}
	w.tried, w.problem = files, ""
	w.outcome = w.use(files)
	return w.outcome == nil, w.outcome
}

// refresh looks at the files if that was long ago. Whoever comes while another looks goes on with what is there.
func (w *watchedFiles) refresh() {
	if !w.checking.TryLock() {
		return
	}
	defer w.checking.Unlock()
	now := w.clock.Now()
	if since := now.Sub(w.checked); since >= 0 && since < certificateCheck {
		return
	}
	w.checked = now
	again, err := w.read()
	switch {
	case err == nil:
		w.problem = ""
		if again {
			slog.Info("files were read again", "files", w.what)
		}
	case w.problem != err.Error():
		w.failures.Add(1)
		slog.Error("changed files cannot be used; what was in use stays", "files", w.what, "error", err)
		w.problem = err.Error()
	}
}
