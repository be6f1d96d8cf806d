# berth: build, test and measure. `make help` lists the targets.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
BERTH    := bin/berth
SCANNER  := bin/berth-scanner
GOFUMPT  := go run mvdan.cc/gofumpt@v0.12.0
STATIC   := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
VULN     := go run golang.org/x/vuln/cmd/govulncheck@latest
FUZZTIME ?= 20s

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

.PHONY: build
build: $(BERTH) ## build bin/berth, a static binary

.PHONY: $(BERTH)
$(BERTH):
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/berth

# Trivy needs the experiment on this version of Go. The first build takes ten minutes; the tests
# of scan/trivy share it, which -trimpath would keep them from.
.PHONY: scanner
scanner: ## build bin/berth-scanner, with Trivy in it; berth serve runs it if it lies beside berth
	GOEXPERIMENT=jsonv2 CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $(SCANNER) ./cmd/berth-scanner

.PHONY: run
run: build ## serve the folder ./berth-data on port 5000
	$(BERTH) serve

.PHONY: test
test: ## run the tests
	go test ./...

# Those of what has Trivy in it; go test ./... leaves them out.
.PHONY: test-scanner
test-scanner: ## run the tests of the scanner, with Trivy in it
	GOEXPERIMENT=jsonv2 CGO_ENABLED=0 go test -vet=off ./scan/trivy/... ./cmd/berth-scanner/...

.PHONY: race
race: ## run the tests with the race detector, but for those in which nothing happens at once
	go test -race -short -timeout 20m ./auth/... ./cmd/... ./lifecycle/... ./registry/... ./scan/... ./storage/...

.PHONY: lint
lint: ## vet, staticcheck and gofumpt, by pinned versions
	go vet ./...
	$(STATIC) ./...
	cd conformance/chart && go vet ./... && $(STATIC) ./...
	@go mod tidy -diff || { echo "go.mod is not tidy: run go mod tidy"; exit 1; }
	@unformatted=$$($(GOFUMPT) -l .); test -z "$$unformatted" || { echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; }

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME each
	@go list ./... | while read -r package; do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done

.PHONY: conformance
conformance: build ## run the OCI conformance suite against berth, alone and as three replicas
	go run ./conformance/oci -berth $(BERTH)
	go run ./conformance/oci -berth $(BERTH) -replicas 3 -results results/oci-replicas

.PHONY: ecr
ecr: build ## ask berth all that Amazon ECR can be asked, with the AWS SDK, alone and as three replicas
	cd conformance/ecr && BERTH_ECR=1 BERTH_BIN=$(CURDIR)/$(BERTH) go test -count=1
	cd conformance/ecr && BERTH_ECR=1 BERTH_ECR_REPLICAS=3 BERTH_BIN=$(CURDIR)/$(BERTH) go test -count=1

.PHONY: conformance-released
conformance-released: build ## the same with the suite released as v1.1.1, which has to be fetched from GitHub
	conformance/oci/install.sh
	go run ./conformance/oci -berth $(BERTH) -draft '' -released "$${BERTH_CACHE:-$$HOME/.cache/berth}/bin/conformance-v1.1.1"

.PHONY: chart
chart: build ## render the Helm chart and check what comes out
	cd conformance/chart && BERTH_BIN=$(CURDIR)/$(BERTH) go test -count=1 ./...

.PHONY: e2e
e2e: build scanner ## drive berth with docker, podman, skopeo, containerd, helm, cosign and others
	conformance/clients/install.sh
	cd conformance/clients && BERTH_E2E=1 BERTH_BIN=$(CURDIR)/$(BERTH) go test -count=1 -timeout 20m
	cd conformance/clients && BERTH_E2E=1 BERTH_E2E_REPLICAS=3 BERTH_BIN=$(CURDIR)/$(BERTH) go test -count=1 -timeout 20m

.PHONY: kill
kill: build ## kill berth at random moments, alone and as three replicas, and look for losses
	go run ./conformance/kill -berth $(BERTH)
	go run ./conformance/kill -berth $(BERTH) -replicas 3 -kills 60

.PHONY: chaos
chaos: build ## have S3 and PostgreSQL fail in many ways under three replicas
	go run ./conformance/chaos -berth $(BERTH)

.PHONY: chaos-smoke
chaos-smoke: build ## half of that, and with shorter faults
	go run ./conformance/chaos -berth $(BERTH) -quick

.PHONY: hostile
hostile: build scanner ## scan images that want to do harm, and kill the scanner at random moments
	cd conformance/hostile && BERTH_HOSTILE=1 BERTH_BIN=$(CURDIR)/$(BERTH) BERTH_SCANNER_BIN=$(CURDIR)/$(SCANNER) go test -count=1 -timeout 30m

.PHONY: bench
bench: build ## measure berth beside CNCF Distribution and a bare loop, on a disk and on S3 and PostgreSQL
	go run ./conformance/bench -berth $(BERTH)
	go run ./conformance/bench -berth $(BERTH) -s3

.PHONY: bench-growth
bench-growth: build ## measure berth with 1,000, 30,000 and 1,000,000 images in it
	go run ./conformance/bench -berth $(BERTH) -enforce -growth 1000,30000,1000000
	go run ./conformance/bench -berth $(BERTH) -enforce -growth 1000,30000,1000000 -s3

.PHONY: bench-crowd
bench-crowd: build ## have 200 clients push 200 MiB each to S3 at once; needs 60 GiB of disk
	go run ./conformance/bench -berth $(BERTH) -enforce -crowd 200 -crowd-layer 209715200 -s3

.PHONY: bench-garbage
bench-garbage: build ## measure garbage collection, and pushes beside it
	go run ./conformance/bench -berth $(BERTH) -garbage 100000
	go run ./conformance/bench -berth $(BERTH) -garbage 30000 -s3

.PHONY: bench-scans
bench-scans: build scanner ## measure scans, and pushes and pulls beside them
	go run ./conformance/bench -berth $(BERTH) -scanner $(SCANNER) -scans -rounds 7

.PHONY: bench-smoke
bench-smoke: build scanner ## see that the benchmarks run, each once; their figures are not to be quoted
	go run ./conformance/bench -berth $(BERTH) -quick
	go run ./conformance/bench -berth $(BERTH) -quick -s3
	go run ./conformance/bench -berth $(BERTH) -quick -growth 600,1200
	go run ./conformance/bench -berth $(BERTH) -quick -crowd 20 -s3
	go run ./conformance/bench -berth $(BERTH) -quick -garbage 10000
	go run ./conformance/bench -berth $(BERTH) -scanner $(SCANNER) -quick -scans -s3

.PHONY: vulncheck
vulncheck: ## look for known vulnerabilities; needs the internet
	$(VULN) ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf bin results
