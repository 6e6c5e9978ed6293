# SPDX-License-Identifier: Apache-2.0
#
# make demo   see a guest contextualised (GUEST=no: the rehearsal alone)
# make test   every test, unit to guest
# Both install what they need first, and say so.

export CGO_ENABLED := 0
export PATH := $(CURDIR)/.build/go/bin:$(PATH)
# What runs once a boot and over kilobytes is not inlined: a quarter of a megabyte less to bake in.
ONCE := ./cmd/ctxagent github.com/ctxagent/ctxagent/internal/grammar go.yaml.in/yaml/v3 mvdan.cc/sh/v3/... \
	github.com/vishvananda/netlink github.com/godbus/dbus/v5
GOFLAGS_BUILD := -trimpath $(foreach p,$(ONCE),-gcflags='$(p)=-l') -ldflags='-s -w -buildid='
OUT := bin/ctxagent
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME ?= 1m

.PHONY: build binary demo test unit guest lint bench attacks fuzz soak setup clean

build:
	@test/setup.sh build
	@$(MAKE) -s binary

binary: # also how the tests build what they try: make binary OUT=FILE
	go build $(GOFLAGS_BUILD) -o $(OUT) ./cmd/ctxagent

demo:
	@test/setup.sh demo
	@test/demo.sh

test: setup lint unit guest

setup:
	@test/setup.sh test
	@test/daemons.sh 12 >/dev/null & twelve=$$!; test/daemons.sh 13 >/dev/null && wait $$twelve

# Two packages at a time, since many tests wait. What has bounds of time, looks at the
# whole machine, as the attacks do, or wants both CPUs, as a guest does, runs alone.
ALONE := ./cmd/ctxagent ./internal/sandbox/attacks
unit:
	CTXAGENT_DAEMONS=$$(test/daemons.sh 12) CTXAGENT_DAEMONS_13=$$(test/daemons.sh 13) \
		test/recap.sh go test -p 2 -count=1 $$(go list ./... | grep -v -e /cmd/ctxagent -e /test/guest -e /sandbox/attacks)
	test/recap.sh go test -p 1 -count=1 $(ALONE)

guest:
	test/recap.sh go test -count=1 -v -timeout 60m ./test/guest

lint:
	@test -z "$$(gofmt -l cmd dist internal test)" || { gofmt -l cmd dist internal test; echo "gofmt: run gofmt -w on these"; exit 1; }
	go vet ./...
	GOARCH=arm64 $(MAKE) -s binary OUT=.build/ctxagent-arm64
	GOARCH=amd64 $(MAKE) -s binary OUT=.build/ctxagent-amd64
	GOARCH=arm64 go vet ./...
	go run $(STATICCHECK) ./...
	test/vulncheck.sh $(GOVULNCHECK)
	shellcheck test/*.sh test/guest/*.sh examples/*.sh examples/htcondor/*.sh .ci/run
	test/units.sh .build/ctxagent-amd64

bench: build
	go test -run '^$$' -bench . -benchtime 20x -timeout 20m ./cmd/ctxagent
	go test -run '^$$' -bench Apply -benchtime 10x ./internal/journal
	go test -run '^$$' -bench . -benchtime 3x -timeout 60m ./test/guest

attacks: # without each layer in turn
	go test -tags ctxagent_weaken -count=1 -v -timeout 30m -run '^TestWriteTable$$' ./internal/sandbox/attacks

# At length: recovery killed at each of its steps, 50 guests killed, ten seconds of storm, each
# network manager with each family, late cables and flapping links, no disc and a swapped one with each kernel, the daemons in a guest.
soak:
	@test/setup.sh test
	CTXAGENT_SOAK=1 go test -count=1 -v -timeout 60m -run 'Killed|PowerCut|Storm' ./internal/journal ./internal/netwait
	CTXAGENT_SOAK=1 go test -count=1 -v -timeout 120m -run 'Killed|Kernels|Swapped|Daemons|Networks|Carrier|Flaps|Cable' ./test/guest

fuzz:
	for t in FuzzVolume:iso9660 FuzzFields:iso9660 FuzzUnpack:iso9660 FuzzVolume:fat FuzzTable:partition FuzzUevent:cdrom FuzzSMBIOS:cdrom FuzzParse:vendordata \
		FuzzVerify:signature FuzzAssignments:stages FuzzCheck:grammar FuzzParse:policy FuzzWeigh:netwait FuzzRequest:relay FuzzSOCKS:relay FuzzReader:manifest; do \
		go test -run '^$$' -fuzz "^$${t%:*}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./internal/$${t#*:} || exit 1; \
	done

clean:
	rm -rf bin .build
