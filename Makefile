# Everything that a person or the build server runs. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Tools are pinned, and kept by version outside the checkout so that a fresh
# clone does not build them again.
GOLANGCI_LINT_VERSION := v2.15.0
CONTROLLER_GEN_VERSION := v0.21.0
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pintle
GOLANGCI_LINT := $(CACHE)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
CONTROLLER_GEN := $(CACHE)/controller-gen-$(CONTROLLER_GEN_VERSION)/controller-gen

.PHONY: help
help: ## Explain each target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the command into bin/pintle
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags "-s -w" -o bin/pintle ./cmd/pintle

.PHONY: image
image: ## Build the controller's image, named IMAGE
	docker buildx build --tag $(or $(IMAGE),ghcr.io/pintle-dev/pintle:latest) .

.PHONY: demo
demo: build ## See the whole story in a minute: a new tag, a revert, a newer tag; needs git, no cluster
	./bin/pintle demo

.PHONY: test
test: ## Vet, and run every test with the race detector; real parts included; needs git, a C compiler, openssl, curl, gpg and ssh-keygen
	go vet ./...
	go test -race -timeout 45m ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check the code against .golangci.yml; builds the linter once
	$(GOLANGCI_LINT) run ./...

.PHONY: bench
bench: ## Measure a large fleet beside the git command; BENCH_JSON=FILE writes the figures, BENCH_GROWTH=docs/scaling measures how they grow and writes docs/scaling.md; fixtures/bench/doc.go names what sets the size; takes some minutes
	go run ./fixtures/bench

.PHONY: mutants
mutants: ## Plant bugs in the engine one at a time, and see that the random walk catches each; takes some minutes
	go run ./fixtures/mutants

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Write the deep copies of api/ and the CRDs of config/crd anew
	$(CONTROLLER_GEN) object:headerFile=api/header.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd

$(GOLANGCI_LINT):
	GOFLAGS= GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(CONTROLLER_GEN):
	GOFLAGS= GOBIN=$(@D) go install sigs.k8s.io/controller-tools/cmd/controller-gen@$(CONTROLLER_GEN_VERSION)
