.DEFAULT_GOAL := help
SHELL := /bin/bash
# What runs in production needs no C compiler; the race detector does.
BUILD := CGO_ENABLED=0 go build -trimpath
# -race also checks the arithmetic of unsafe pointers. In SQLite, which is C translated to Go, that costs more than all the rest of it.
SQLITE_UNCHECKED := -gcflags=modernc.org/...=-d=checkptr=0

# What the web client is built from.
WEB := $(shell find web-client/src web-client/public -type f) $(addprefix web-client/,index.html vite.config.ts tsconfig.json codegen.mjs) $(wildcard graph/*.graphqls)

.PHONY: help run build web test verify soak generate format

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/' | expand -t 16

run: build ## build everything and run the demo on the embedded database
	bin/softacs demo

build: web ## build bin/softacs with the web client in it
	$(BUILD) -o bin/softacs ./cmd/softacs

web: ## build the web client into web-client/dist, if npm is installed
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory web-client/dist/index.html; \
	else echo 'npm is not installed: softacs is built without its web client'; fi

web-client/node_modules/.stamp: web-client/package.json web-client/package-lock.json web-client/.npmrc
	cd web-client && npm ci --no-progress --loglevel=error && touch node_modules/.stamp

web-client/dist/index.html: web-client/node_modules/.stamp $(WEB)
	cd web-client && npm run --silent codegen -- --check && npm run --silent build -- --logLevel warn

# Most tests wait for the database more than they compute, so there are more of them at a time than processors.
test: ## install what the tests need (MariaDB, Chromium, npm, xmllint) and run every test with the race detector
	@./.ci/need mariadbd mariadb-server
	@./.ci/need gcc gcc
	@./.ci/need chromium chromium
	@./.ci/need npm npm
	@./.ci/need xmllint libxml2-utils
	@$(MAKE) --no-print-directory web
	cd web-client && npm run --silent check
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 go test -race $(SQLITE_UNCHECKED) -timeout 15m -p 2 -parallel 5 ./...

soak: ## run what takes long: 50 crashes under traffic on both databases, the fuzz targets for ten minutes
	@./.ci/need mariadbd mariadb-server
	@./.ci/need gcc gcc
	TEST_SOAK=1 CGO_ENABLED=1 go test -race $(SQLITE_UNCHECKED) -count=1 -timeout 30m -run '^TestCrash$$' -v ./cmd/softacs
	./.ci/fuzz 10

generate: web-client/node_modules/.stamp ## regenerate what is generated: the GraphQL server, the operations of the web client
	go generate ./...
	cd web-client && npm run --silent codegen

format:
	gofmt -l -w $$(git ls-files '*.go' ':!graph/generated' ':!graph/model')

verify: generate format ## generate, tidy, format, vet, staticcheck and test; nothing may change
	go mod tidy
	git diff --exit-code -- . || { echo 'generated or formatted files were not current: commit the changes above'; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	$(MAKE) test
