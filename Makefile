# `make demo` shows the whole walk; `make test` proves it. Both install what they need (Debian packages by apt, as root).

IMAGE ?= debian
FIRMWARE ?=
PART ?=
BILLET ?= target/release/billet
KEEP ?=
TARGET := x86_64-unknown-linux-gnu
AGENT := target/release/billet-agent
LAB := target/release/billet-lab

.PHONY: demo test build packages lint unit postgres crash soak parity fuzz clients cloud agent keystone story bench clean

demo: build
	$(LAB) demo --image $(IMAGE) $(if $(FIRMWARE),--firmware $(FIRMWARE)) $(if $(PART),--part $(PART)) $(if $(KEEP),--keep)

test: packages lint unit build postgres crash clients cloud agent parity fuzz keystone story

packages:
	scripts/install-packages

# The agent is linked statically: it is the only program in its ramdisk.
build: packages
	cargo build --release --locked -p billet -p lab
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile agent --locked -p agent --target $(TARGET)
	install -D target/$(TARGET)/agent/billet-agent $(AGENT)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: packages
	scripts/run-tests

# The same tests of all that uses the database, on PostgreSQL, in a cluster of its own.
postgres: build
	$(LAB) postgres -- scripts/run-tests -p store -p conductor -p api

# Processes that share a database are killed and stopped while they deploy simulated machines; nothing may be lost. The long one is soak.
crash: build
	$(LAB) soak --machines 30 --machine-time 2000 --once --limit 280

soak: build
	$(LAB) soak --processes 3 --machines 1000

# The same requests to the real Ironic, which is installed under target/venvs, and to Billet.
parity: build
	python3 -m tests.parity --billet $(BILLET)

# Every command of the real client, at least once.
clients: build
	python3 -m tests.clients

# Every command of the cloud's families: users, images, networks, servers, containers…
cloud: build
	python3 -m tests.cloud

# The real ironic-python-agent looks up, heartbeats and cleans, where no disk is.
agent: build
	python3 -m tests.agent

# Requests made from the OpenAPI document, and hostile ones.
fuzz: build
	python3 -m tests.fuzz

# Tokens, projects and roles with the real Keystone, which is installed under target/venvs.
keystone: build
	python3 -m tests.keystone

story: build
	scripts/run-stories

bench: build
	scripts/run-benches

clean:
	cargo clean
