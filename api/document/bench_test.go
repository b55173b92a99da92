// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/api/document"
)

func BenchmarkNewValidator(b *testing.B) {
	for b.Loop() {
		if _, err := document.NewValidator(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstDocument holds what the first policy of a process costs: its rules are
// compiled.
func BenchmarkFirstDocument(b *testing.B) {
	for b.Loop() {
		if docs, _ := validator(b).Find("a.yaml", []byte(full)); len(docs) != 1 {
			b.Fatal("the policy is not found")
		}
	}
}

// BenchmarkFind reads 1,000 policies, small and with all fields, in one file and in many.
func BenchmarkFind(b *testing.B) {
	const documents = 1000
	policies := map[string]func(int) string{
		"small": func(i int) string { return minimal(fmt.Sprintf("app-%d", i)) },
		"full":  func(i int) string { return strings.Replace(full, "podinfo", fmt.Sprintf("app-%d", i), 1) },
	}
	for name, policy := range policies {
		var files [][]byte
		for i := range documents {
			files = append(files, []byte("---\n"+policy(i)))
		}
		one := []byte{}
		for _, file := range files {
			one = append(one, file...)
		}
		b.Run(name+"/one file", func(b *testing.B) { benchmark(b, [][]byte{one}, documents) })
		b.Run(name+"/many files", func(b *testing.B) { benchmark(b, files, documents) })
	}
}

func benchmark(b *testing.B, files [][]byte, documents int) {
	v := validator(b)
	v.Find("a.yaml", []byte(full)) // compile the rules
	for b.Loop() {
		found := 0
		for _, file := range files {
			docs, problems := v.Find("a.yaml", file)
			if len(problems) > 0 {
				b.Fatal(problems)
			}
			found += len(docs)
		}
		if found != documents {
			b.Fatalf("found %d of %d documents", found, documents)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*documents), "µs/document")
}
