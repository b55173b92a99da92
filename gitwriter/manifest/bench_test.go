// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"fmt"
	"testing"
)

// deployment is a manifest of forty lines with one marker.
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
  namespace: prod
  labels:
    app.kubernetes.io/name: podinfo
    app.kubernetes.io/part-of: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: podinfo
  template:
    metadata:
      labels:
        app.kubernetes.io/name: podinfo
    spec:
      serviceAccountName: podinfo
      containers:
      - name: podinfo
        image: ghcr.io/acme/podinfo:6.1.0 # {"$imagepolicy": "prod:podinfo"}
        args: ["--level=info"]
        ports:
        - name: http
          containerPort: 9898
        env:
        - name: COLOUR
          value: "blue"
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            memory: 256Mi
        readinessProbe:
          httpGet:
            path: /readyz
            port: http
          periodSeconds: 5
`

func BenchmarkScan1000Files(b *testing.B) {
	content := []byte(deployment)
	for b.Loop() {
		for range 1000 {
			if fields, problems := Scan("app.yaml", content, nil); len(fields) != 1 || len(problems) > 0 {
				b.Fatal(fields, problems)
			}
		}
	}
}

func BenchmarkMayMatter10000Files(b *testing.B) {
	content := bytes.ReplaceAll([]byte(deployment), []byte(markerKey), []byte("nothing"))
	for b.Loop() {
		for range 10_000 {
			if MayMatter("app.yaml", content, nil) {
				b.Fatal("matters")
			}
		}
	}
}

func BenchmarkEdit(b *testing.B) {
	content := []byte(deployment)
	fields, _ := Scan("app.yaml", content, nil)
	for b.Loop() {
		if _, err := Edit(content, []Change{{Field: fields[0], New: "ghcr.io/acme/podinfo:6.2.0"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// A thousand policies whose targets name other folders cost a file little.
func BenchmarkMayMatter1000Targets(b *testing.B) {
	var targets []Target
	for i := range 250 {
		targets = append(targets,
			Target{Kind: Workloads, Path: fmt.Sprintf("apps/team-%d/**", i)},
			Target{Kind: Workloads, Path: fmt.Sprintf("apps/*/prod-%d", i)},
			Target{Kind: Kustomize, Path: fmt.Sprintf("apps/team-%d", i)},
			Target{Kind: HelmValues, Path: fmt.Sprintf("apps/team-%d/values.yaml", i)},
		)
	}
	for b.Loop() {
		if MayMatter("apps/x/y/app.yaml", nil, targets) {
			b.Fatal("matters")
		}
	}
}
