.DEFAULT_GOAL := help
SHELL := /bin/bash
# What runs in production needs no C compiler; the race detector does.
BUILD := CGO_ENABLED=0 go build -trimpath

.PHONY: help run build test verify soak generate format

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/' | expand -t 16

run: build ## build everything and run the demo on the embedded database
	bin/softacs demo

build: ## build bin/softacs
	$(BUILD) -o bin/softacs ./cmd/softacs

test: ## install what the tests need (MariaDB) and run every test with the race detector
	@./.ci/need mariadbd mariadb-server
	@./.ci/need gcc gcc
	CGO_ENABLED=1 go test -race -timeout 15m ./...

soak: ## run what takes long: 50 crashes under traffic on both databases, the fuzz targets for ten minutes
	@./.ci/need mariadbd mariadb-server
	@./.ci/need gcc gcc
	TEST_SOAK=1 CGO_ENABLED=1 go test -race -count=1 -timeout 30m -run '^TestCrash$$' -v ./cmd/softacs
	./.ci/fuzz 10

generate: ## regenerate what is generated: the GraphQL server
	go generate ./...

format:
	gofmt -l -w $$(git ls-files '*.go' ':!graph/generated' ':!graph/model')

verify: generate format ## generate, tidy, format, vet, staticcheck and test; nothing may change
	go mod tidy
	git diff --exit-code -- . || { echo 'generated or formatted files were not current: commit the changes above'; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	$(MAKE) test
