# SPDX-License-Identifier: GPL-2.0-or-later
#
#	make			the programs, in build/
#	make check		every test; installs what is missing first (appliance/deps)
#	make check-unit …	one kind of tests: man unit fuzz bpf netns sdk clients web
#	make asan		the same checks with AddressSanitizer and UBSan, in build-asan/
#	make fuzz		libFuzzer on every target, FUZZ_SECONDS each, in build-fuzz/
#	make clients		Go, Chromium, Java and others through an appliance, with nothing but the root
#	make soak		random faults of backends, and kills of all that keeps events, for SOAK_SECONDS (600) each
#	make demo		real calls through an appliance in network namespaces
#	make bench-packets	ns per packet of the kernel programs, and the memory of their maps
#	make bench-store	events/s and bytes per event of the collector's store, and its questions
#	make bench		bench-packets, and the comparison with other proxies; BENCH="--rounds 1 …" are its options
#	make check-kernels	tests of the kernel programs on Debian's kernels, in qemu (vm/)
#	make image		the appliance's image (raw, qcow2, VHD), in build/image; on Debian 12 by way of
#				the root of check-trixie
#	make check-reproducible	makes it twice from nothing, and compares
#	make check-image	boots it in qemu, with Secure Boot, between a client and a collector
#	make install uninstall	to DESTDIR and PREFIX, and from there
#	make deb		packages of the Debian release that this runs on, in build/deb
#	make check-deb		makes them, installs, upgrades, removes and purges them
#	make check-monitoring	the rules for Prometheus
#	make check-azure	the template, by what Azure's own clients (npm) know of resources
#	make check-trixie	`make check` in a root file system of Debian 13; TARGETS="deb …": others
#	make format clean
#
# V=1 shows the commands. CC=clang works. CFLAGS and LDFLAGS are the caller's: ours come besides.
# VMLINUX_FALLBACK=1 builds the kernel programs as on a machine without kernel BTF.

BUILD ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
FUZZ_SECONDS ?= 60
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON ?= /usr/bin/python3
CFLAGS ?= -O2 -g
VERSION := 0.1.0

B := $(BUILD)
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(V),1)
Q :=
say :=
else
Q := @
say = @printf '  %-8s%s\n' '$(1)' '$(2)';
endif

# --- what is there -----------------------------------------------------------------------------

LIB_SOURCES := $(filter-out %/main.c,$(wildcard userspace/*/*.c))
PROGRAMS := $(if $(wildcard userspace/supervise/main.c),sallyportd) \
	$(if $(wildcard userspace/cli/main.c),sallyport) \
	$(if $(wildcard userspace/collector/main.c),sallyport-collector)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c)
BPF_TEST_SOURCES := $(wildcard tests/bpf/test_*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
SUPPORT_SOURCES := $(wildcard tests/support/*.c)
ORIGIN_SOURCES := $(wildcard tests/origin/*.c)
BPF_SOURCES := $(wildcard bpf/*.bpf.c)
# Debian 12 has llhttp as C source only.
LLHTTP_SOURCES := $(wildcard /usr/share/llhttp/*.c)
LLHTTP_HEADER := $(firstword $(wildcard /usr/include/llhttp.h \
	/usr/share/include/llhttp/llhttp.h))
ifneq ($(wildcard /usr/include/llhttp.h),)
LLHTTP_SOURCES :=
endif

# The review page: bundled, and compiled in.
WEB := userspace/collector/web
WEB_SOURCES := $(filter-out %/node_modules,$(wildcard $(WEB)/*))
WEB_FILES := $(B)/userspace/collector/web_files

LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o) $(WEB_FILES).o $(LLHTTP_SOURCES:/usr/share/%.c=$(B)/%.o)
SUPPORT_OBJECTS := $(SUPPORT_SOURCES:%.c=$(B)/%.o)
ORIGIN_OBJECTS := $(ORIGIN_SOURCES:%.c=$(B)/%.o)
UNIT_TESTS := $(UNIT_SOURCES:%.c=$(B)/%)
BPF_TESTS := $(BPF_TEST_SOURCES:%.c=$(B)/%)
FUZZ_TARGETS := $(FUZZ_SOURCES:%.c=$(B)/%)
SKELETONS := $(BPF_SOURCES:%.bpf.c=$(B)/%.skel.h)
ORIGIN := $(if $(ORIGIN_SOURCES),$(B)/tests/origin/origin)
# The daemon, of which a test lets an allocation fail.
FAILING := $(B)/tests/failing/sallyportd
VM_PROGRAM := $(if $(wildcard vm/verified.c),$(B)/vm/verified)
BENCH_LOAD := $(if $(wildcard tests/bench/load.c),$(B)/tests/bench/load)
BENCH_STORE := $(if $(wildcard tests/bench/store.c),$(B)/tests/bench/store)
BENCH_PACKETS := $(if $(wildcard tests/bench/packets.c),$(B)/tests/bench/packets)

# --- how it is compiled ------------------------------------------------------------------------

PACKAGES := libbpf openssl libcares libcyaml yaml-0.1 yyjson zlib libbrotlidec libzstd sqlite3 \
	libseccomp libsystemd cjose libnetfilter_queue libmnl libmicrohttpd libnghttp2
# Run once, and only by a rule that needs it: `make check` installs the libraries first.
pkg_config = $(shell pkg-config $(1) $(PACKAGES) \
	$$(pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack) || echo MISSING)
pkg_checked = $(if $(filter MISSING,$(1)),$(error libraries are missing: run appliance/deps),$(1))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call pkg_checked,$$(patsubst -I%,-isystem %,\
	$$(call pkg_config,--cflags))))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(call pkg_checked,$$(call pkg_config,--libs)) -lev -lm -lncurses -ltinfo \
	$$(if $$(LLHTTP_SOURCES),,-lllhttp))$(PKG_LIBS)

MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Werror
# llhttp 8 is lenient unless it is told; 9 is strict always.
STRICT := -DLLHTTP_STRICT_MODE=1
OURS := -std=gnu11 -D_GNU_SOURCE $(STRICT) -DSALLYPORT_VERSION='"$(VERSION)"' -Iuserspace -I. \
	-isystem $(B)
CODE := -fPIE -fstack-protector-strong -fno-common -fno-omit-frame-pointer \
	$(if $(filter x86_64-% i686-%,$(MACHINE)),-fcf-protection -fstack-clash-protection)
LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
SANITIZERS := address,undefined
ifneq ($(SANITIZE),)
CODE += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -DSALLYPORT_SANITIZE
LINK += -fsanitize=$(SANITIZE)
# Fuzzed and sanitized runs want the first error, where it happens, and no leak passed over.
export ASAN_OPTIONS ?= abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1
else
CODE += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
ifneq ($(FUZZ),)
CODE += -fsanitize=fuzzer-no-link
endif
# gcc sees the programs as a whole; tests link the ordinary code of the same objects, which is fast.
LTO := $(if $(SANITIZE)$(FUZZ)$(findstring clang,$(CC)),,-flto=auto)
CODE += $(if $(LTO),$(LTO) -ffat-lto-objects)

COMPILE = $(CC) $(OURS) $(CODE) $(WARNINGS) $(PKG_CFLAGS) $(CFLAGS) $(CPPFLAGS)
LINKED = $(CC) $(CODE) $(CFLAGS) $(LINK) $(LDFLAGS)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(firstword $(subst -, ,$(MACHINE)))))
BPF_COMPILE = $(CLANG) -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -std=gnu11 -O2 -g -mcpu=v3 \
	-I$(B)/bpf -Ibpf -I. -idirafter /usr/include/$(MACHINE:x86_64-pc-%=x86_64-%) \
	-Wall -Wextra -Werror -Wno-unused-parameter

KERNEL_BTF := $(if $(VMLINUX_FALLBACK),,$(wildcard /sys/kernel/btf/vmlinux))

.PHONY: all check checks check-man check-unit check-fuzz check-bpf check-netns check-sdk check-clients check-web \
	check-kernels clients \
	check-deb check-image check-reproducible check-monitoring check-azure check-trixie demo soak bench bench-packets bench-store fuzz fuzz-run asan install uninstall man \
	image deb clean format deps tests force
all: $(B)/libsallyport.a $(PROGRAMS:%=$(B)/%)

# Everything is compiled again when the command to compile it changes, and the library is made
# again when a file of it goes away: the file changes only when its text does.
changed = $(shell mkdir -p $(dir $(1)); printf '%s\n' '$(subst ','\'',$(2))' | \
	cmp -s - $(1) || printf '%s\n' '$(subst ','\'',$(2))' > $(1))
$(B)/.compile: force ; $(call changed,$@,$(COMPILE) $(LINK) $(LDFLAGS))
$(B)/.bpf: force ; $(call changed,$@,$(BPF_COMPILE) $(KERNEL_BTF))
$(B)/.library: force ; $(call changed,$@,$(LIB_OBJECTS))

# --- rules -------------------------------------------------------------------------------------

$(B)/%.o: %.c $(B)/.compile $(B)/llhttp/llhttp.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

$(WEB_FILES).c: $(WEB_SOURCES)
	@mkdir -p $(@D)
	$(call say,WEB,$@)
	$(Q)$(WEB)/bundle $(abspath $(B)/web) $@

$(WEB_FILES).o: $(WEB_FILES).c userspace/collector/web_files.h $(B)/.compile
	$(call say,CC,$@)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/llhttp/%.o: /usr/share/llhttp/%.c $(B)/.compile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -O2 -g $(CODE) $(CFLAGS) -w $(STRICT) -I/usr/share/include/llhttp -c -o $@ $<

# One way to include it, wherever the distribution puts it.
$(B)/llhttp/llhttp.h: $(LLHTTP_HEADER)
	@mkdir -p $(@D)
	$(if $<,,$(error llhttp is missing: run appliance/deps))
	$(Q)echo '#include "$<"' > $@

$(B)/libsallyport.a: $(LIB_OBJECTS) $(B)/.library
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcsD $@ $(LIB_OBJECTS)

$(B)/libsupport.a: $(SUPPORT_OBJECTS)
	$(Q)rm -f $@ && ar rcsD $@ $^

$(B)/sallyportd: $(B)/userspace/supervise/main.o
$(B)/sallyport: $(B)/userspace/cli/main.o
$(B)/sallyport-collector: $(B)/userspace/collector/main.o
$(B)/tests/origin/origin: $(ORIGIN_OBJECTS)
$(FAILING): $(B)/userspace/supervise/main.o $(B)/tests/failing/allocate.o
$(B)/tests/bench/load: $(B)/tests/bench/load.o
$(B)/tests/bench/store: $(B)/tests/bench/store.o
$(B)/tests/bench/packets: $(B)/tests/bench/packets.o $(B)/libsupport.a
$(B)/vm/verified: $(B)/vm/verified.o
$(FUZZ_TARGETS): $(if $(FUZZ),,$(B)/tests/fuzz/replay.o)
$(UNIT_TESTS) $(BPF_TESTS) $(FUZZ_TARGETS): $(B)/%: $(B)/%.o $(B)/libsupport.a
TEST_LIBS = -lcmocka -lbrotlienc
# By the name of the target: a variable of the target would be one of its prerequisites as well, and
# with it the command to compile another (make 4.4).
TEST_LINK = $(if $(FUZZ),$(if $(filter $(B)/tests/fuzz/%,$@),-fsanitize=fuzzer)) \
	$(if $(filter $(FAILING),$@),$(FAILING_WRAP))
FAILING_WRAP := -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

$(PROGRAMS:%=$(B)/%) $(ORIGIN) $(FAILING) $(BENCH_LOAD) $(BENCH_PACKETS) $(BENCH_STORE) $(VM_PROGRAM) $(UNIT_TESTS) $(BPF_TESTS) $(FUZZ_TARGETS): $(B)/libsallyport.a
	$(call say,LINK,$@)
	$(Q)$(LINKED) $(TEST_LINK) $(if $(filter $(B)/tests/%,$@),$(LTO:%=-fno-lto)) -o $@ $(filter %.o,$^) \
		$(filter %/libsupport.a,$^) $(B)/libsallyport.a \
		$(if $(filter $(B)/tests/%,$@),$(TEST_LIBS)) $(PKG_LIBS)

# Kernel programs: object, then the skeleton with the object inside.
$(B)/bpf/vmlinux.h: $(if $(KERNEL_BTF),,bpf/vmlinux_fallback.h) $(B)/.bpf
	@mkdir -p $(@D)
	$(call say,BTF,$@)
	$(Q)$(if $(KERNEL_BTF),$(BPFTOOL) btf dump file $(KERNEL_BTF) format c > $@,cp $< $@)

# The running kernel's types and those of the fallback have the layout that is written down.
$(B)/bpf/vmlinux.checked: bpf/vmlinux_check.c bpf/vmlinux_fallback.h $(B)/bpf/vmlinux.h
	$(Q)for types in $(B)/bpf/vmlinux.h bpf/vmlinux_fallback.h; do \
		$(BPF_COMPILE) -DVMLINUX="\"$$types\"" -fsyntax-only $< || exit 1; done; touch $@

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(B)/bpf/vmlinux.checked $(B)/.bpf
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(BPF_COMPILE) -MMD -MP -c -o $@ $<

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# Who includes skeletons is compiled again with them: -MMD passes system directories over.
$(filter $(B)/userspace/kernel/%,$(LIB_OBJECTS)) $(BPF_TESTS:%=%.o): $(SKELETONS)

-include $(LIB_OBJECTS:.o=.d) $(SUPPORT_OBJECTS:.o=.d) $(ORIGIN_OBJECTS:.o=.d) \
	$(BPF_SOURCES:%.c=$(B)/%.d) $(wildcard $(B)/userspace/*/main.d $(B)/tests/*/*.d \
	$(B)/tests/unit/*/*.d $(B)/vm/*.d)

# --- checks ------------------------------------------------------------------------------------

export SALLYPORT_BUILD := $(abspath $(B))
# A check may be a run of minutes on a busy machine; beyond this it hangs.
TEST_SECONDS ?= 600

deps:
	@appliance/deps
# Two steps: what is there is looked at again after the dependencies were installed.
check: deps
	@+$(MAKE) checks
# One kind after the other, also with -j: they share the machine's network and its processors.
checks: tests
	@+for kind in man unit fuzz bpf netns sdk clients web; do $(MAKE) check-$$kind || exit 1; done
	@echo "  all checks passed"

tests: all $(UNIT_TESTS) $(BPF_TESTS) $(FUZZ_TARGETS) $(ORIGIN) $(FAILING)

check-unit: all $(UNIT_TESTS)
	@tests/run "unit" $(UNIT_TESTS)
check-fuzz: $(FUZZ_TARGETS)
	@tests/run "fuzz corpora" $(FUZZ_TARGETS)
check-bpf: $(BPF_TESTS)
	@tests/run "kernel programs" $(BPF_TESTS)
# Each file by one of so many processes, with networks of their own: tests wait more than they work.
NETNS_JOBS ?= 2
check-netns: all $(ORIGIN) $(FAILING)
	@if ls tests/netns/test_*.py >/dev/null 2>&1; then echo "  end to end"; \
		$(PYTHON) -m pytest -q -p no:cacheprovider -n $(NETNS_JOBS) --dist loadfile tests/netns; fi
# Random faults at random times; SOAK_SEED=N of a run repeats them.
SOAK_SECONDS ?= 600
soak: all $(ORIGIN)
	@SOAK_SECONDS=$(SOAK_SECONDS) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/soak
check-sdk: all $(ORIGIN)
	@if [ -x tests/sdk/run ]; then echo "  official clients"; tests/sdk/run; fi

check-web: all
	@echo "  review page"; tests/web/run

# Those that every machine has; `make clients` takes all.
check-clients: all $(ORIGIN)
	@echo "  clients"; $(PYTHON) -m pytest -q -p no:cacheprovider -m "not more" tests/clients
clients:
	@appliance/deps clients
	@+$(MAKE) all $(ORIGIN)
	@tests/clients/run

# SERIES=SUITE: the kernels that are supported, and the Debian that has each.
KERNELS ?= 6.1=bookworm 6.12=trixie
check-kernels:
	@appliance/deps kernels
	@+$(MAKE) -s $(BPF_TESTS) $(VM_PROGRAM)
	@CLANG=$(CLANG) vm/check-kernels $(KERNELS) -- $(abspath $(BPF_TESTS))

check-deb: deb
	@+$(MAKE) all $(ORIGIN)
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/package

# Prometheus' own tool judges the rules, and what they say of series that are made up.
check-monitoring:
	@appliance/deps monitoring
	@cd appliance/monitoring && promtool check rules sallyport.rules.yml && \
		promtool test rules sallyport.rules.test.yml

check-azure:
	@tests/azure/run

# In the root of Debian 13 it is this target again.
RELEASE = $(shell . /etc/os-release; echo $$VERSION_CODENAME)
image:
	@+if [ "$(RELEASE)" = trixie ]; then appliance/deps image && $(MAKE) deb && vm/image; \
	else appliance/deps trixie && vm/check-trixie image && \
		rm -rf $(B)/image && ln -s trixie/root/srv/sallyport/build/image $(B)/image; fi
# Each time all is compiled, packed and installed anew.
check-reproducible:
	@+for time in 1 2; do \
		rm -rf $(B)/deb $(B)/image $(B)/trixie/root/srv/sallyport/build; \
		$(MAKE) image && cp $(B)/image/SHA256SUMS $(B)/SHA256SUMS.$$time || exit 1; done
	@diff $(B)/SHA256SUMS.1 $(B)/SHA256SUMS.2 && echo "  two builds of one commit are equal"
check-image:
	@appliance/deps check-image
	@tests/sdk/run --fetch
	@+$(MAKE) all $(ORIGIN)
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/vm

TARGETS ?= check
check-trixie:
	@appliance/deps trixie
	@vm/check-trixie $(TARGETS)

# ASan's leak check needs no ptrace of our dropped children; they end through exit as well.
asan: deps
	@+$(MAKE) BUILD=build-asan SANITIZE=$(SANITIZERS) CFLAGS="-O1 -g" checks

fuzz: deps
	@+$(MAKE) BUILD=build-fuzz CC=$(CLANG) FUZZ=1 SANITIZE=$(SANITIZERS) CFLAGS="-O1 -g" fuzz-run
fuzz-run: $(FUZZ_TARGETS)
	@tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

demo: deps
	@+$(MAKE) all $(ORIGIN)
	@tests/netns/demo
bench:
	@appliance/deps bench
	@+$(MAKE) all $(ORIGIN) $(BENCH_LOAD) bench-packets
	@tests/bench/run $(BENCH)
# Of these, the kernel programs alone: ns per packet, and memory.
bench-packets: $(BENCH_PACKETS)
	@$(BENCH_PACKETS)
# The collector's store: what it takes, and what its questions cost. EVENTS=1000000
bench-store: $(BENCH_STORE)
	@$(BENCH_STORE) $(EVENTS)

# --- install -----------------------------------------------------------------------------------

include $(wildcard appliance/install.mk)

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	$(Q)rm -rf build build-asan build-fuzz
