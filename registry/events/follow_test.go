// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pintle-dev/pintle/registry/events"
)

// mount puts a folder of files where a mounted Secret has them: behind a link that is
// swapped for another as a whole.
func mount(t *testing.T, at, version string, files map[string]string) {
	t.Helper()
	folder := filepath.Join(at, version)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(at, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(version, filepath.Join(at, "..next")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(at, "..next"), filepath.Join(at, "..data")); err != nil {
		t.Fatal(err)
	}
}

// A rotated secret is taken up, and a file that can't be read changes nothing.
func TestFollow(t *testing.T) {
	folder, file := t.TempDir(), ""
	file = filepath.Join(folder, "events.yaml")
	const endpoints = "endpoints:\n- {source: harbor, path: /harbor, host: registry.example.com, secretFile: harbor}\n"
	mount(t, folder, "one", map[string]string{"events.yaml": endpoints, "harbor": secret})
	loaded, err := events.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	f := readFixture(t, events.Harbor, "default")
	synctest.Test(t, func(t *testing.T) {
		receiver := newReceiver(t, loaded...)
		var complaints []string
		ctx, cancel := context.WithCancel(t.Context())
		go receiver.Follow(ctx, file, func(err error) { complaints = append(complaints, err.Error()) })
		expect := func(what, path, with string, want int) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			r := f.request(path)
			r.Header.Set("Authorization", with)
			if status, body := receiver.send(r); status != want {
				t.Errorf("%s: the answer is %d, want %d: %s", what, status, want, body)
			}
		}
		expect("at first", "/harbor", secret, 202)
		const next = "another-secret-entirely"
		mount(t, folder, "two", map[string]string{"events.yaml": endpoints, "harbor": next})
		expect("the new secret", "/harbor", next, 202)
		expect("the old secret", "/harbor", secret, 403)
		mount(t, folder, "three", map[string]string{"events.yaml": "endpoints: [}\n", "harbor": next})
		expect("a broken file", "/harbor", next, 202)
		if len(complaints) != 1 || !strings.Contains(complaints[0], "cannot read the endpoints: "+file) {
			t.Errorf("the complaints are %q", complaints)
		}
		mount(t, folder, "four", map[string]string{"events.yaml": strings.Replace(endpoints, "/harbor", "/other", 1), "harbor": next})
		expect("another path", "/other", next, 202)
		expect("the path before", "/harbor", next, 404)
		cancel()
	})
}

// What an endpoint may send is bounded across a rotation too.
func TestUseKeepsTheLimits(t *testing.T) {
	e := endpoint(events.Harbor)
	receiver, f := newReceiver(t, e), readFixture(t, events.Harbor, "default")
	refused := 0
	for i := range 400 {
		if i%100 == 50 {
			if err := receiver.Use([]events.Endpoint{e}); err != nil {
				t.Fatal(err)
			}
		}
		if status, _ := receiver.send(f.request(e.Path)); status == 429 {
			refused++
		}
	}
	if refused < 100 {
		t.Errorf("%d of 400 requests at once are refused", refused)
	}
}

// Each answer is told, by source and by what came of it.
func TestObserve(t *testing.T) {
	told := map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		for _, w := range wants {
			e := endpoint(w.source)
			receiver, f := newReceiver(t, e), readFixture(t, w.source, w.name)
			receiver.Observe(func(source events.Source, result string) {
				if source != w.source && result != "no_endpoint" {
					t.Errorf("%s %s is told of as %s", w.source, w.name, source)
				}
				told[result]++
			})
			receiver.send(f.request(e.Path))
			receiver.send(f.request("/elsewhere"))
		}
	})
	for result, want := range map[string]func(status int) bool{
		"taken":       func(status int) bool { return status == 202 },
		"no_reason":   func(status int) bool { return status == 200 || status == 204 },
		"malformed":   func(status int) bool { return status == 400 },
		"no_proof":    func(status int) bool { return status == 403 },
		"no_endpoint": func(int) bool { return true },
	} {
		count := 0
		for _, w := range wants {
			if want(w.status) {
				count++
			}
		}
		if told[result] != count {
			t.Errorf("%s is told %d times, want %d", result, told[result], count)
		}
	}
}
