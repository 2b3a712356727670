# One-liners; what has an `if` in it is in xtask. `make help` lists them.

SECONDS ?= 30

.PHONY: help demo dist test tools yardsticks lint bench proof conformance fuzz

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: ## start Mainstay with its demonstration servers
	cargo run --profile demo --package mainstay -- demo

dist: ## what users install: a static program in an archive with its checksum, install.sh, a container image
	cargo xtask dist

test: ## everything that has to hold, with the minutes it took; installs what that needs
	cargo xtask test

tools: ## what the tests need: installed, or named with how to get it
	cargo xtask tools

yardsticks: ## nginx, HAProxy and valgrind, which the bench uses; installs, as root, what is missing
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null && command -v haproxy >/dev/null \
	    && command -v valgrind >/dev/null || { \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends nginx-light haproxy valgrind >/dev/null; } \
	    || echo "nginx, HAProxy and valgrind can't be installed; what is missing is left out" >&2

lint: ## format, lists, dependencies and lints
	cargo xtask test format lists dependencies lints

bench: yardsticks ## measure Mainstay and its peers side by side, in one table
	cargo build --release --package mainstay --package mainstay-bench
	cargo run --release --package mainstay-bench -- run

proof: ## longer proofs on what is built for users: attacks on memory, servers beyond their limits, archive and image, the example stack (as root)
	cargo xtask proof

conformance: ## the protocol's own suite, and official clients and servers, through the gateway
	cargo xtask test conformance

fuzz: ## fuzz what reads bytes from outside, each target for SECONDS (30)
	cargo xtask fuzz $(SECONDS)
