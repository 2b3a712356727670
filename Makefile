# One-liners; what has an `if` in it is in xtask. `make help` lists them.

CACHE ?= $(or $(MAINSTAY_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mainstay)
DENY := $(CACHE)/tools/bin/cargo-deny
DENY_VERSION := 0.20.2
SECONDS ?= 30

.PHONY: help demo test tools nginx yardsticks lint bench conformance fuzz

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: ## start Mainstay with its demonstration servers
	cargo run --release --package mainstay -- demo

test: tools nginx ## everything that has to hold, with the minutes it took; installs what that needs
	cargo xtask test

tools: $(DENY) ## what the checks of dependencies need, into the cache folder

nginx: ## nginx, which tests put in front of the daemon; installs it, as root, where it is missing
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null && command -v openssl >/dev/null || { \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends nginx-light openssl >/dev/null; }

yardsticks: ## nginx, HAProxy and valgrind, which the bench uses; installs, as root, what is missing
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null && command -v haproxy >/dev/null \
	    && command -v valgrind >/dev/null || { \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends nginx-light haproxy valgrind >/dev/null; } \
	    || echo "nginx, HAProxy and valgrind can't be installed; what is missing is left out" >&2

lint: tools ## format, lists, dependencies and lints
	cargo xtask test format lists dependencies lints

bench: yardsticks ## measure Mainstay and its peers side by side, in one table
	cargo build --release --package mainstay --package mainstay-bench
	cargo run --release --package mainstay-bench -- run

conformance: ## the protocol's own suite, and official clients and servers, through the gateway
	cargo xtask test conformance

fuzz: ## fuzz what reads bytes from outside, each target for SECONDS (30)
	cargo xtask fuzz $(SECONDS)

$(DENY):
	env -u CARGO_TARGET_DIR cargo install --locked --quiet --root $(CACHE)/tools cargo-deny@$(DENY_VERSION)
