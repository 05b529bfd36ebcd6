# The commands of this project. `make demo` runs it on real input, `make test` passes its tests; both set up what
# they need and say plainly what is missing. Build products live outside the clone, so a second clone is warm.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/hotspan/build
export npm_config_cache ?= $(HOME)/.cache/hotspan/npm
HOTSPAN := $(CARGO_TARGET_DIR)/debug/hotspan

.PHONY: help demo test build setup web lint bench accuracy clean

help:
	@echo "make demo    start hotspan with a simulated shop that has one hidden bottleneck, and print the URL"
	@echo "make test    run every test"
	@echo "make build   build the program: $(HOTSPAN)"
	@echo "make lint    format, clippy and type checks only"
	@echo "make bench   the benchmarks of docs/benchmarks.md (release build, long)"
	@echo "make accuracy  how often the diagnosis is right on simulated faults (docs/accuracy.md; long)"
	@echo "make clean   remove build products, also outside the clone"

demo: build
	@$(HOTSPAN) demo $(ARGS)

build: web
	@echo "building hotspan (the first build takes 15 to 30 minutes on two cores, later ones seconds)"
	@# Naming an example switches on what the tests need of the dependencies, so that `make test` shares this build.
	@cargo build --locked --workspace --bins --example throughput

web: setup
	@tools/web.sh

setup:
	@tools/setup.sh

test:
	@tools/test.sh

lint:
	@tools/test.sh lint

bench: web
	@tools/bench.sh

accuracy: setup
ifdef ARGS
	@cargo run --locked --example accuracy -- $(ARGS)
else
	@cargo run --locked --example accuracy -- --seeds 101
	@cargo run --locked --example accuracy -- --topology random --services 5-60 --wear all --seeds 101
endif

clean:
	rm -rf "$(CARGO_TARGET_DIR)" ui/web/dist ui/web/node_modules
