# The front door; meson and scripts/ do the work. `make help` lists the rooms.
#
#   BUILD=dir     the build directory (build)
#   T="a b"       make test, test-asan: only tests whose name contains a or b
#   ARGS="..."    make run: the arguments of cove
#   TIME=60       make fuzz: CPU seconds for each harness; FUZZ=name for one only
#   DEEP=1        make check: path analysis that takes minutes more
#   DESTDIR=dir   make install: where the tree for a package goes

BUILD ?= build
PREFIX ?= /usr/local
T ?=
ARGS ?= help
TIME ?= 60
FUZZ ?=
DEEP ?=

# Tests make kernel and template once, below the tree, and never touch the
# user's own sandboxes.
TEST_HOME = $(CURDIR)/.cache/dev
export COVE_TEST_CACHE ?= $(TEST_HOME)/cache

# What make kernel builds.
SMALL_KERNEL = .cache/kernel-build/vmlinux

# What a user runs; the rest of the tree is tests.
PROGRAMS = agent/cove-init cli/cove daemon/coved devices/cove-devices \
	image/cove-image vmm/cove-vmm \
	$(if $(wildcard src/gate/main.c),gate/cove-gate)
# A line for each file only where lines are rewritten in place.
NINJA = ninja $(if $(MAKE_TERMOUT),,--quiet)

.DEFAULT_GOAL := build
.PHONY: help build programs test test-unit test-cache test-asan check lint \
	check-kvm check-kvm-full prove fmt bench bench-docker bench-image \
	bench-share bench-gate bench-kvm kernel \
	fuzz coverage run quickstart install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

$(BUILD)/build.ninja:
	@scripts/bootstrap build run
	meson setup $(BUILD) --prefix=$(PREFIX)

build: $(BUILD)/build.ninja ## build all programs into build/bin
	@$(NINJA) -C $(BUILD)
	@scripts/link-programs $(BUILD)

programs: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) $(addprefix src/,$(PROGRAMS))
	@scripts/link-programs $(BUILD)

test: ## install what is needed, build, pass all tests
	@scripts/bootstrap build run test
	@$(MAKE) --no-print-directory build test-cache
	@scripts/run-tests -b $(BUILD) $(T)

test-unit: build ## only the unit tests and corpora: seconds
	@scripts/run-tests -b $(BUILD) -s unit -s corpus $(T)

test-cache: programs ## kernel and template for the tests, made once in .cache
	@COVE_HOME=$(TEST_HOME) $(BUILD)/bin/cove-image kernel
	@COVE_HOME=$(TEST_HOME) $(BUILD)/bin/cove-image shell

test-asan: ## all tests on programs built with ASan and UBSan
	@scripts/bootstrap build run test
	@scripts/setup build-asan
	@$(NINJA) -C build-asan
	@scripts/link-programs build-asan
	@$(MAKE) --no-print-directory test-cache
	@scripts/run-tests -b build-asan $(T)

check: ## every check that needs no sandbox: lint, warnings, sanitizers
	@scripts/bootstrap build test check
	@DEEP=$(DEEP) scripts/check

lint: ## the checks that need no build: layers, size, words, format, shell
	@scripts/bootstrap check
	@scripts/check layers size words format shell

fmt: ## format the C sources
	@scripts/bootstrap check
	@git ls-files '*.c' '*.h' | xargs clang-format -i

check-kvm: build test-cache ## the monitor on true KVM, in an emulated machine
	@scripts/check-kvm

check-kvm-full: build test-cache ## the same for longer, and end-to-end tests there
	@scripts/check-kvm-full $(T)

prove: ## have CBMC prove what reads rings, and addresses to pointers
	@scripts/prove

bench: ## measure start, exec, files and memory against their yardsticks
	@scripts/bootstrap build run test
	@$(MAKE) --no-print-directory build test-cache
	@COVE_BUILD=$(abspath $(BUILD)) bench/bench.py

bench-docker: ## Docker's start and runs against Debian's own start
	@scripts/bootstrap build run test
	@$(MAKE) --no-print-directory build test-cache
	@COVE_BUILD=$(abspath $(BUILD)) bench/docker.py

bench-image: ## import of an image against skopeo copy + umoci unpack
	@scripts/bootstrap build run test
	@$(MAKE) --no-print-directory build
	@COVE_BUILD=$(abspath $(BUILD)) bench/image.py

bench-share: ## host memory of 20 sandboxes of one template against one
	@scripts/bootstrap build run test
	@$(MAKE) --no-print-directory build test-cache
	@COVE_BUILD=$(abspath $(BUILD)) bench/share.py

bench-kvm: build test-cache ## a guest's start in cove-vmm and in QEMU, on true KVM
	@scripts/bench-kvm
	@[ ! -e $(SMALL_KERNEL) ] || scripts/bench-kvm --kernel $(SMALL_KERNEL)

bench-gate: ## the network gate against QEMU's, tinyproxy, squid and mitmproxy
	@scripts/bootstrap build run test bench
	@$(MAKE) --no-print-directory build test-cache
	@COVE_BUILD=$(abspath $(BUILD)) bench/gate_guest.py
	@bench/gate.py $(abspath $(BUILD))/bin/cove-gate

kernel: ## build a small kernel for sandboxes and make it the current one
	@scripts/bootstrap build kernel
	@$(MAKE) --no-print-directory programs
	@$(BUILD)/bin/cove-image kernel --vmlinux "$$(scripts/build-kernel)"

fuzz: ## run the fuzz harnesses, TIME CPU seconds each
	@scripts/bootstrap build check
	@scripts/fuzz $(TIME) $(FUZZ)

coverage: ## line coverage of the unit tests in build-coverage/index.html
	@scripts/bootstrap build test coverage
	@scripts/setup build-coverage
	@$(NINJA) -C build-coverage
	@scripts/run-tests -b build-coverage -s unit -s corpus
	@gcovr -r . --object-directory build-coverage -f src/ \
		--html-details build-coverage/index.html --print-summary

run: programs ## run cove from the build tree with ARGS
	@$(BUILD)/bin/cove $(ARGS)

quickstart: ## install, build, prepare, and run a command in a sandbox
	@scripts/bootstrap build run
	@$(MAKE) --no-print-directory programs
	@BUILD=$(BUILD) scripts/quickstart

install: build ## install programs, manual pages and completions
	meson install -C $(BUILD) --no-rebuild

clean: ## remove what was built; the cached kernel and template stay
	rm -rf $(BUILD) build-asan build-clang build-coverage build-fuzz build-gcc
