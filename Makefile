# Nacre's front door: `make help` lists what there is. Each line here is short; the work is in scripts/.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

# `release` is what users run and benchmarks measure; `PROFILE=dev` adds every check of debug builds.
PROFILE ?= release

# Everything but these needs a Rust toolchain, which bootstrap finds or installs before make goes on.
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
include build/toolchain.mk
endif

build/toolchain.mk: FORCE
	@scripts/bootstrap building

need-%: FORCE build/toolchain.mk
	@scripts/bootstrap $*

FORCE:

export PROFILE
export ROOT_PASSWORD

.PHONY: help run-qemu run-gui build initramfs rootfs esp iso check test test-process bench gdb reproducible clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

run-qemu: need-running build initramfs ## Build and boot Nacre in QEMU on this terminal (leave: Ctrl-A X)
	@scripts/run-qemu

build: build/toolchain.mk ## Build the kernel: build/nacre.elf (symbols for debuggers: build/nacre.debug)
	@scripts/build-kernel build/nacre

run-gui: need-running build initramfs ## The same with a window (VNC on port 5900 without a display), serial line here
	@GUI=1 scripts/run-qemu

initramfs: build/toolchain.mk ## Build the initial file system, with a login: build/initramfs.cpio (ROOT_PASSWORD=... sets one)
	@scripts/build-initramfs build/initramfs.cpio

rootfs: need-checking build/toolchain.mk ## Build the same as a root disk: build/rootfs.img (run it: ROOT_DISK=build/rootfs.img make run-qemu)
	@scripts/build-rootfs build/rootfs.img

esp: need-images build initramfs ## Build the UEFI disk: build/esp.img (LIMINE_DIR=... packs a real Limine)
	@scripts/make-esp

iso: need-images build initramfs ## Build the BIOS + UEFI CD image: build/nacre.iso
	@scripts/make-iso

check: need-checking ## Quick checks: format, layers, unsafe baseline, docs/syscalls.md, lints, host tests
	@scripts/check

test: need-checking need-running need-images need-programs build initramfs esp iso ## All tests; T=name runs those whose name contains it
	@scripts/test "$(T)"

test-process: need-running need-programs build ## The tests of processes on this host first, then on Nacre; T=name, LINUX=1 boots Linux too
	@scripts/test-process "$(T)"

bench: need-running build ## Compare with Linux, row by row: build/bench.md (ARGS="--only boot", "--help")
	@$(CARGO) run --quiet --release -p bench -- $(ARGS)

gdb: need-running need-debugging build initramfs ## Boot Nacre halted, with gdb attached and symbols loaded
	@scripts/run-gdb

reproducible: build/toolchain.mk ## Build the kernel twice and compare the bytes
	@scripts/check-reproducible

clean: ## Remove everything that was built
	rm -rf build target
