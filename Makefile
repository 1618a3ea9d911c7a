# libssl: self-supervised learning for computer vision, installed as sslcv. Not OpenSSL.
#
#   make deps demo      see it learn
#   make deps check     run the tests
#   make help           all targets and variables

CC         ?= cc
CXX        ?= c++
AR         ?= ar
NM         ?= nm
CFLAGS     ?= -O2 -g
CXXFLAGS   ?= -O2 -g
PKG_CONFIG ?= pkg-config
INSTALL    ?= install
PYTHON     ?= python3
VALGRIND   ?= valgrind
CLANG_FORMAT ?= clang-format
BUILD      ?= build
PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
MANDIR     ?= $(PREFIX)/share/man
DESTDIR    ?=
# make knows a CC, CXX and AR of its own, which are "cc", "g++" and "ar" where nobody sets them: as good.

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# What "deps" installs must be seen by the goals after it, so they start in a make of their own.
AFTER_DEPS := $(if $(filter deps,$(MAKECMDGOALS)),$(filter-out deps,$(MAKECMDGOALS)))
ifneq ($(AFTER_DEPS),)

$(AFTER_DEPS): after-deps ; @:
after-deps: deps ; @$(MAKE) --no-print-directory $(AFTER_DEPS)
.PHONY: after-deps $(AFTER_DEPS)

else

version_part = $(shell sed -n 's/^.define SSLCV_VERSION_$(1) *//p' include/sslcv/version.h)
VERSION      := $(call version_part,MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)
SOVERSION    := 0
ONEDNN       := $(shell printf '\043include <oneapi/dnnl/dnnl_version.h>\nDNNL_VERSION_MAJOR.DNNL_VERSION_MINOR.DNNL_VERSION_PATCH' \
                  | $(CC) $(CPPFLAGS) -E -P - 2>/dev/null | tail -n 1 | tr -d ' ')
ONEDNN_MAJOR := $(firstword $(subst ., ,$(ONEDNN)))

# JPEG is decoded by libjpeg-turbo where it is installed; "make JPEG=" goes without, by stb_image as all else.
ifeq ($(origin JPEG),undefined)
JPEG         := $(shell $(PKG_CONFIG) --modversion libjpeg 2>/dev/null)
endif
ifneq ($(JPEG),)
JPEG_CFLAGS  := -DSSLCV__LIBJPEG='"$(JPEG)"' $(shell $(PKG_CONFIG) --cflags libjpeg)
JPEG_LIBS    := $(shell $(PKG_CONFIG) --libs libjpeg)
endif

# Logistic regression is fitted by liblbfgs where it is installed; "make LBFGS=" goes without.
ifeq ($(origin LBFGS),undefined)
LBFGS        := $(shell $(PKG_CONFIG) --modversion liblbfgs 2>/dev/null)
endif
ifneq ($(LBFGS),)
LBFGS_CFLAGS := -DSSLCV__LIBLBFGS='"$(LBFGS)"' $(shell $(PKG_CONFIG) --cflags liblbfgs)
LBFGS_LIBS   := $(shell $(PKG_CONFIG) --libs liblbfgs)
endif

# ONNX models are written by protobuf-c from the distribution's onnx.proto where both are installed; "make ONNX=" goes
# without.
ONNX_PROTO   ?= $(firstword $(wildcard /usr/include/onnx/onnx.proto /usr/local/include/onnx/onnx.proto))
PROTOC_C     ?= protoc-c
ifeq ($(origin ONNX),undefined)
ONNX         := $(if $(ONNX_PROTO),$(shell $(PROTOC_C) --version >/dev/null 2>&1 && $(PKG_CONFIG) --modversion libprotobuf-c 2>/dev/null))
endif
ifneq ($(ONNX),)
ONNX_CFLAGS  := -DSSLCV__PROTOBUF_C='"$(ONNX)"' $(shell $(PKG_CONFIG) --cflags libprotobuf-c)
ONNX_LIBS    := $(shell $(PKG_CONFIG) --libs libprotobuf-c)
endif

MODULES  ?= core dnn nn model image augment data cluster loss optim train method eval io onnx
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wpointer-arith -Wcast-qual
# Clang has no OpenMP runtime that could share a process with oneDNN's libgomp: it vectorises loops, and runs the
# parallel ones on one thread (lib/core/openmp.h). That some loop is not vectorised is no news.
CLANG         := $(filter 1,$(shell echo __clang__ | $(CC) -E -P - 2>/dev/null))
OPENMP_CFLAGS ?= $(if $(CLANG),-fopenmp-simd -Wno-pass-failed,-fopenmp)
# Ours, apart from the user's CFLAGS, which come last and so win. Kernels are written for the compiler's vectoriser; no
# option here changes results between files: no -ffast-math.
OWN_CPPFLAGS := -Iinclude -Ilib -D_POSIX_C_SOURCE=200809L -DNDEBUG -DSSLCV_BUILD -DSSLCV__ONEDNN='"$(ONEDNN)"' \
                $(JPEG_CFLAGS) $(LBFGS_CFLAGS) $(ONNX_CFLAGS)
OWN_CFLAGS   := -std=c11 -fPIC -fvisibility=hidden $(OPENMP_CFLAGS) -ftree-vectorize -fno-math-errno -fno-trapping-math \
                $(WARNINGS) $(EXTRA_CFLAGS)
COMPILE       = $(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) $(OWN_CFLAGS) $(CFLAGS)
# Files named after a processor's extension are compiled for it, and run only where the processor has it.
ifneq ($(filter x86_64% amd64%,$(shell $(CC) -dumpmachine)),)
AVX2_CFLAGS   := -mavx2 -mfma
AVX512_CFLAGS := $(AVX2_CFLAGS) -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq
endif
# The compiler's OpenMP runtime must be the one that oneDNN uses: two in a process fight for the cores.
OPENMP_LIBS  ?= -lgomp
PRIVATE_LIBS := -ldnnl $(OPENMP_LIBS) -lm -lpthread
LIBS         := -lz $(JPEG_LIBS) $(LBFGS_LIBS) $(ONNX_LIBS) $(PRIVATE_LIBS)

SOURCES := $(sort $(foreach m,$(MODULES),$(wildcard lib/$(m)/*.c lib/$(m)/v$(ONEDNN_MAJOR)/*.c)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
ifneq ($(filter onnx,$(MODULES)),)
ifeq ($(ONNX),)
OBJECTS := $(filter-out $(BUILD)/lib/onnx/graph.o $(BUILD)/lib/onnx/model.o,$(OBJECTS))
else
OBJECTS += $(BUILD)/onnx/onnx.pb-c.o
endif
endif
HEADERS := $(sort $(wildcard include/sslcv/*.h include/sslcv/*.hpp))
STATIC  := $(BUILD)/libsslcv.a
SONAME  := libsslcv.so.$(SOVERSION)
SHARED  := $(BUILD)/libsslcv.so.$(VERSION)

# ---- the library ----

all: lib
lib: static shared
static: $(STATIC)
shared: $(SHARED)

# Holds compiler and flags, and is touched only when they change: what depends on it is then rebuilt.
FLAGS_TEXT = $(subst ','\'',$(COMPILE) $(AVX2_CFLAGS) $(AVX512_CFLAGS) $(LDFLAGS) $(LIBS))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@test -n '$(ONEDNN)' || { echo 'oneDNN is not found: "make deps" installs what the build needs' >&2; exit 1; }
	@test -d lib/dnn/v$(ONEDNN_MAJOR) || { echo 'oneDNN $(ONEDNN) has no back end in lib/dnn/' >&2; exit 1; }
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@

$(BUILD)/lib/%.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) $(EXTENSION_CFLAGS) -MMD -MP -c $< -o $@

# A third off the exponentials of softmax, half off a matrix product: products and sums in one instruction where the
# processor of a clone or file has it.
$(BUILD)/lib/nn/softmax.o $(BUILD)/lib/nn/matmul.o: EXTENSION_CFLAGS = -ffp-contract=fast
$(BUILD)/lib/nn/matmul_avx2.o: EXTENSION_CFLAGS = $(AVX2_CFLAGS) -ffp-contract=fast
$(BUILD)/lib/nn/matmul_avx512.o: EXTENSION_CFLAGS = $(AVX512_CFLAGS) -ffp-contract=fast
# stb_image 2.27 shifts a byte by 32 bits and more where the scan of a four-component JPEG is cut off: the bits that come
# of it are those of a damaged picture. Under UBSan nothing could be fuzzed behind that.
$(BUILD)/lib/image/decode.o: EXTENSION_CFLAGS = -fno-sanitize=shift
$(BUILD)/%_avx2.o: EXTENSION_CFLAGS = $(AVX2_CFLAGS)
$(BUILD)/%_avx512.o: EXTENSION_CFLAGS = $(AVX512_CFLAGS)

# Messages of ONNX, under a package's name of ours: no symbol then meets that of another user of onnx.proto.
$(BUILD)/onnx/onnx.pb-c.c: $(ONNX_PROTO) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) PROTOC $(ONNX_PROTO)
	$(Q)sed 's/^package onnx;/package sslcv.onnx;/' $(ONNX_PROTO) > $(BUILD)/onnx/onnx.proto
	$(Q)$(PROTOC_C) --proto_path=$(BUILD)/onnx --c_out=$(BUILD)/onnx $(BUILD)/onnx/onnx.proto
$(BUILD)/onnx/onnx.pb-c.o: $(BUILD)/onnx/onnx.pb-c.c
	$(say) CC $<
	$(Q)$(COMPILE) -w -c $< -o $@
$(BUILD)/lib/onnx/model.o: $(if $(ONNX),$(BUILD)/onnx/onnx.pb-c.c)
$(BUILD)/lib/onnx/model.o $(BUILD)/tests/test_onnx: EXTENSION_CFLAGS = -isystem $(BUILD)/onnx

$(STATIC): $(OBJECTS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(SHARED): $(OBJECTS) lib/sslcv.map
	$(say) LINK $@
	$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,$(SONAME) -Wl,--version-script=lib/sslcv.map -Wl,-z,defs \
	  -Wl,-Bsymbolic-functions $(OBJECTS) $(LIBS) -o $@
	$(Q)ln -sf $(@F) $(BUILD)/$(SONAME) && ln -sf $(SONAME) $(BUILD)/libsslcv.so

# ---- examples: public headers only, as a user would compile them ----

EXAMPLES_C   := $(patsubst examples/%.c,$(BUILD)/examples/%,$(sort $(wildcard examples/*.c)))
DEMO_SOURCES := $(sort $(wildcard examples/demo/*.c))
DEMO         := $(if $(DEMO_SOURCES),$(BUILD)/examples/demo/demo)
EXAMPLES     := $(EXAMPLES_C) $(DEMO)
EXAMPLE_FLAGS = -Iinclude $(CPPFLAGS) -Wall -Wextra -pedantic $(EXTRA_CFLAGS)
EXAMPLE_C     = $(CC) -std=c99 -D_POSIX_C_SOURCE=200809L $(EXAMPLE_FLAGS) $(CFLAGS)

$(EXAMPLES_C): $(BUILD)/examples/%: examples/%.c $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(EXAMPLE_C) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(STATIC) $(LIBS)

$(DEMO): $(DEMO_SOURCES) $(wildcard examples/demo/*.h) $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC examples/demo
	$(Q)$(EXAMPLE_C) $(DEMO_SOURCES) -o $@ $(LDFLAGS) $(STATIC) $(LIBS)

examples: $(EXAMPLES)

# make demo DEMO_ARGS=--quick for a first look.
demo: $(DEMO)
	@$(DEMO) --out $(BUILD)/demo $(DEMO_ARGS)

# ---- unit tests: one program a suite, linked with the static library so that internals can be tested too ----

TEST_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
TESTS        := $(TEST_SOURCES:tests/unit/%.c=$(BUILD)/tests/%)
CHECK_LIBS    = $(shell $(PKG_CONFIG) --libs check jansson 2>/dev/null || echo -lcheck -ljansson)

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) $(EXTENSION_CFLAGS) -Itests/unit -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(TEST_LDFLAGS) $(STATIC) $(CHECK_LIBS) \
	  $(LIBS)

# The library's calls of oneDNN go through this program first, where they can fail.
comma := ,
$(BUILD)/tests/test_out_of_memory_onednn: TEST_LDFLAGS = $(foreach f,engine_create engine_destroy stream_create \
  stream_destroy primitive_attr_create primitive_attr_destroy primitive_create primitive_destroy primitive_desc_create \
  primitive_desc_destroy reorder_primitive_desc_create memory_create memory_destroy memory_set_data_handle \
  primitive_execute sgemm,-Wl$(comma)--wrap=dnnl_$(f))

# Methods on real images: long, and not part of check. The program reads images that a checkout does not have.
LEARNING := $(BUILD)/learn/test_learning

$(BUILD)/learn/%: tests/learn/%.c $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -Itests/unit -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(STATIC) $(CHECK_LIBS) $(LIBS)

# What steps of recipes compute, to be compared between threads, instruction sets and precisions.
$(BUILD)/numbers/%: tests/numbers/%.c $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(STATIC) $(LIBS)

# Everything that may happen in several threads at once.
$(BUILD)/race/%: tests/race/%.c examples/synthetic.h $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) $< -o $@ $(LDFLAGS) $(STATIC) $(LIBS)

tests: $(TESTS) $(LEARNING) $(BUILD)/numbers/numbers $(BUILD)/race/race

# make check-unit ONLY=core runs one suite, ONLY='augment*' those of a module.
ONLY ?= *
SELECTED = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_$(ONLY).c)))
check-unit: $(SELECTED)
	@sh tests/tools/run_tests.sh $(SELECTED)

# Losses, optimizers and probes against published numbers, naive twins in double and finite differences.
GOLDEN := loss loss_* sinkhorn optimizer schedule probe_knn probe_logistic metrics
check-golden: $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard $(GOLDEN:%=tests/unit/test_%.c))))
	@sh tests/tools/run_tests.sh $^

# Recipes line by line, then whether each learns: two minutes a method at most. METHOD=byol for one of them,
# METHOD_FLAGS='--data DIR --seed 2 --threads 2'.
METHOD_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_method*.c tests/unit/test_recipe*.c)))
check-methods: $(METHOD_TESTS) $(LEARNING)
	@sh tests/tools/run_tests.sh $(METHOD_TESTS)
	@OMP_WAIT_POLICY=passive $(if $(METHOD),CK_RUN_CASE=$(METHOD)) $(LEARNING) $(METHOD_FLAGS)

# Under tools the tests run in one process. oneDNN and libgomp keep what they made until the process ends.
check-asan check-ubsan:
	@CK_FORK=no CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory BUILD=$(BUILD)/asan \
	  CFLAGS='-O1 -g -UNDEBUG -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' check-unit check-fuzz

# Which lines of lib/ the tests execute, error paths included; fails below 90 of 100.
coverage:
	@CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS='-O1 -g --coverage' \
	  LDFLAGS='$(LDFLAGS) --coverage' KILLS=10 check-unit check-faults check-fuzz
	@sh tests/tools/coverage.sh $(BUILD)/coverage 90

# One compute thread for each context: ThreadSanitizer sees neither how libgomp's threads wait for each other nor what
# oneDNN does. Clones are chosen while the program is loaded, before it is ready.
check-tsan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CPPFLAGS='$(CPPFLAGS) -DSSLCV_NO_CLONES' \
	  CFLAGS='-O1 -g -fsanitize=thread' $(BUILD)/tsan/race/race
	@OMP_NUM_THREADS=1 TSAN_OPTIONS="exitcode=66 $(TSAN_OPTIONS)" \
	  $(BUILD)/tsan/race/race --serial

# oneDNN's AVX2 matrix product moves the stack pointer to a heap block and back. Where that block lies just above a
# thread's stack, memcheck takes the way for one large frame that ends and forgets what the stack held; so no frame is
# larger than this one, which is more than any of ours.
check-valgrind: $(SELECTED)
	@ONEDNN_MAX_CPU_ISA=AVX2 CK_FORK=no CK_TIMEOUT_MULTIPLIER=50 RUN="$(VALGRIND) -q --max-stackframe=24576 \
	  --suppressions=tests/valgrind.supp --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
	  --errors-for-leak-kinds=definite" \
	  sh tests/tools/run_tests.sh $(SELECTED)

# The same suites with oneDNN 3.x: ONEDNN3=PREFIX has its include/ and lib/; without it pip fetches one.
check-onednn3:
	@MAKE='$(MAKE)' PYTHON='$(PYTHON)' CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' LDFLAGS='$(LDFLAGS)' ONEDNN3='$(ONEDNN3)' \
	  ONLY='$(ONLY)' sh tests/tools/check_onednn3.sh $(BUILD)

# ---- faults: the library's calls of the system pass through tests/fault/faults.c ----

FAULT_SOURCES := $(sort $(wildcard tests/fault/test_fault_*.c))
FAULT_TESTS   := $(FAULT_SOURCES:tests/fault/%.c=$(BUILD)/fault/%)
FAULT_WRAPS   := $(foreach call,open close read pread write fsync ftruncate rename link unlink stat lstat fstat access \
                   fchmod flock fdopendir readdir closedir,-Wl,--wrap=$(call))

$(BUILD)/fault/faults.o: tests/fault/faults.c tests/fault/faults.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -c $< -o $@

$(BUILD)/fault/%: tests/fault/%.c $(BUILD)/fault/faults.o $(STATIC)
	$(say) CC $<
	$(Q)$(COMPILE) -Itests/unit -MMD -MP -MF $@.d -MT $@ $< $(BUILD)/fault/faults.o -o $@ $(FAULT_WRAPS) $(LDFLAGS) \
	  $(STATIC) $(CHECK_LIBS) $(LIBS)

# KILLS: how often a run is killed and goes on. KILL_FLAGS='--seed 2 --method moco-v2 --verbose'.
KILLS ?= $(if $(filter check,$(MAKECMDGOALS)),20,200)
check-faults: $(FAULT_TESTS) $(BUILD)/fault/kill
	@sh tests/tools/run_tests.sh $(FAULT_TESTS)
	@OMP_WAIT_POLICY=passive $(BUILD)/fault/kill --kills $(KILLS) $(KILL_FLAGS)

# ---- fuzzing: one file a target in tests/fuzz/, linked with a driver that replays a corpus, or with libFuzzer ----

FUZZ_TARGETS := $(filter-out replay make_corpus,$(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c))))
REPLAYS      := $(FUZZ_TARGETS:%=$(BUILD)/replay/%)
FUZZ_OBJECTS := $(patsubst %,$(BUILD)/tests/fuzz/%.o,$(FUZZ_TARGETS) replay make_corpus)

$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -Itests/fuzz -MMD -MP -c $< -o $@

$(REPLAYS): $(BUILD)/replay/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/replay/make_corpus: $(BUILD)/tests/fuzz/make_corpus.o $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -ljpeg -o $@

.SECONDARY: $(FUZZ_OBJECTS)

# Every input that was ever worth keeping.
check-fuzz: $(REPLAYS)
	@sh tests/tools/check_fuzz.sh $^

# make fuzz runs each target for SECONDS; TARGET=image one. What it learns goes to $(BUILD)/fuzz/corpus, finds beside it.
SECONDS       ?= 60
TARGET        ?= $(FUZZ_TARGETS)
FUZZ_CC       ?= clang
FUZZ_SANITIZE := address,undefined,float-cast-overflow
FUZZ_CFLAGS   := -O1 -g -UNDEBUG -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) \
                 -fno-sanitize-recover=undefined,float-cast-overflow
fuzz:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC='$(FUZZ_CC)' TARGET='$(TARGET)' SECONDS=$(SECONDS) \
	  CFLAGS='$(FUZZ_CFLAGS)' fuzz-run
fuzz-run: $(TARGET:%=$(BUILD)/engine/%)
	@sh tests/tools/fuzz.sh $(BUILD) $(SECONDS) $(TARGET)

$(BUILD)/engine/%: $(BUILD)/tests/fuzz/%.o $(STATIC)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -fsanitize=fuzzer,$(FUZZ_SANITIZE) $(LDFLAGS) $^ $(LIBS) -o $@

# ---- checks of everything around the code ----

CHECKS := check-includes check-banned check-headers check-abi check-symbols check-unit check-fuzz check-numbers check-races \
  check-faults check-examples check-docs check-reference check-install check-guest
check: $(CHECKS)
	@echo "all checks passed: $(CHECKS)"

TOOLS := CC='$(CC)' CXX='$(CXX)' NM='$(NM)' PKG_CONFIG='$(PKG_CONFIG)' PYTHON='$(PYTHON)' MAKE='$(MAKE)' VERSION=$(VERSION)

check-includes:
	@sh tests/tools/check_includes.sh
check-banned:
	@sh tests/tools/check_banned.sh
check-headers:
	@$(TOOLS) sh tests/tools/check_headers.sh $(HEADERS)
check-abi: $(SHARED)
	@$(TOOLS) sh tests/tools/check_abi.sh $(BUILD)
check-symbols: $(STATIC) $(SHARED)
	@$(TOOLS) sh tests/tools/check_symbols.sh $(BUILD)
check-numbers: $(BUILD)/numbers/numbers
	@sh tests/tools/check_numbers.sh $<
check-races: $(BUILD)/race/race
	@OMP_WAIT_POLICY=passive $<
check-examples: examples
	@$(TOOLS) sh tests/tools/check_examples.sh $(BUILD) $(EXAMPLES_C)
check-docs: lib
	@$(TOOLS) sh tests/tools/check_docs.sh $(BUILD)
check-install: lib
	@$(TOOLS) sh tests/tools/check_install.sh $(BUILD)
# make check-bindings ONLY=python runs one of them.
check-bindings: shared
	@$(TOOLS) ONLY='$(ONLY)' sh tests/tools/check_bindings.sh $(BUILD)

check-guest: lib
	@$(TOOLS) LIBS='$(LIBS)' sh tests/tools/check_guest.sh $(BUILD)

# Debian packages, where their tools are: a quarter of an hour.
check-debian:
	@mkdir -p $(BUILD)
	@$(TOOLS) sh tests/tools/check_debian.sh $(BUILD)

# What a release promises, as files; at a release they go to tests/abi/: docs/abi.md.
abi: $(SHARED)
	@mkdir -p $(BUILD)/abi
	@sh tests/tools/describe_abi.sh $(SHARED) $(BUILD)/abi/sslcv-$(VERSION).abi
	@CC='$(CC)' sh tests/tools/describe_abi.sh --headers $(BUILD)/abi/sslcv-$(VERSION).h
	@ls $(BUILD)/abi/sslcv-$(VERSION).*

# ---- timings: not part of check ----

BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/flags $(STATIC)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(STATIC) -ljansson $(LIBS)

# Everything, beside PyTorch and ONNX Runtime where they are: about a quarter of an hour.
# BENCH_FLAGS='--only r18-f32', '--rounds 3', '--data DIR --script FILE' for an epoch, '--json FILE', '--markdown'.
bench: $(BENCHES)
	@$(PYTHON) tests/bench/run.py --build $(BUILD)/bench $(BENCH_FLAGS)

# Whole runs on CIFAR-10, one for each method: an hour. LEARNING_FLAGS='--data DIR --references DIR --only simclr'.
bench-learning: $(BUILD)/bench/learning
	@$(PYTHON) tests/bench/learning.py --build $(BUILD)/bench --results $(BUILD)/learning $(LEARNING_FLAGS)

# Beside other programs' packages for Python; what is missing is left out, by name.
check-interop: $(SHARED)
	@for program in tests/interop/*_interop.py; do \
	  OMP_WAIT_POLICY=passive $(PYTHON) $$program $(abspath $(SHARED)) || exit 1; done

check-memory: $(BUILD)/bench/memory
	@OMP_WAIT_POLICY=passive $<

# ---- reference: manual pages and HTML, from the headers ----

REFERENCE := $(sort $(wildcard docs/reference/*))

# A marker beside each folder tells when all of it was made.
man html: %: $(BUILD)/%.made
$(BUILD)/man.made $(BUILD)/html.made: $(BUILD)/%.made: $(filter %.h,$(HEADERS)) $(REFERENCE)
	@rm -rf $(BUILD)/$* && mkdir -p $(BUILD)/$*
	@$(PYTHON) -B docs/reference/generate.py $* $(BUILD)/$* $(filter %.h,$(HEADERS))
	@touch $@

check-reference:
	@mkdir -p $(BUILD)
	@$(TOOLS) sh tests/tools/check_reference.sh $(BUILD) $(filter %.h,$(HEADERS))

# An hour of everything, in one process: does it grow? SECONDS=3600, SOAK_FLAGS='--leak memory'.
$(BUILD)/soak: tests/soak/soak.c $(BUILD)/flags $(STATIC)
	$(say) CC $<
	$(Q)$(COMPILE) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(LDFLAGS) $(STATIC) $(LIBS)

soak: $(BUILD)/soak
	@OMP_WAIT_POLICY=passive $< $(if $(filter file undefined,$(origin SECONDS)),,--seconds $(SECONDS)) $(SOAK_FLAGS)

# ---- install ----

$(BUILD)/sslcv.pc: pkgconfig/sslcv.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	  -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@PRIVATE_LIBS@|$(PRIVATE_LIBS)|' -e 's|@JPEG@|$(if $(JPEG), libjpeg)|' \
	  -e 's|@LBFGS@|$(if $(LBFGS), liblbfgs)|' -e 's|@ONNX@|$(if $(ONNX), libprotobuf-c)|' $< > $@

# CMake's files find the prefix from their own place, so that an installed copy can be moved. A LIBDIR outside of the
# prefix leaves no way back but the path itself.
CMAKEDIR      = $(LIBDIR)/cmake/sslcv
CMAKE_FILES  := $(BUILD)/sslcv-config.cmake $(BUILD)/sslcv-config-version.cmake
empty        :=
list          = $(subst $(empty) ,;,$(strip $(1)))
CMAKE_PREFIX  = $(if $(filter $(PREFIX)/%,$(LIBDIR)),$${sslcv_libdir}$(subst $(empty) ,,$(patsubst %,/..,$(subst /, \
                  ,$(patsubst $(PREFIX)/%,%,$(LIBDIR))))),$(PREFIX))

$(CMAKE_FILES): $(BUILD)/%: cmake/%.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@CMAKE_PREFIX@|$(CMAKE_PREFIX)|' -e 's|@SONAME@|$(SONAME)|' -e 's|@CMAKE_LIBS@|$(call list,$(LIBS))|' \
	  -e 's|@CMAKE_INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${sslcv_prefix}/%,$(INCLUDEDIR))|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@VERSION_SERIES@|$(basename $(VERSION))|' $< > $@

install: lib $(BUILD)/sslcv.pc $(CMAKE_FILES)
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR)/sslcv $(DESTDIR)$(LIBDIR) $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(CMAKEDIR)
	$(INSTALL) -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)/sslcv
	$(INSTALL) -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libsslcv.so
	$(INSTALL) -m 644 $(BUILD)/sslcv.pc $(DESTDIR)$(PKGCONFIGDIR)
	$(INSTALL) -m 644 $(CMAKE_FILES) $(DESTDIR)$(CMAKEDIR)
ifeq ($(LIBSSL_ALIAS),1)
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/sslcv
	ln -sf ../$(SONAME) $(DESTDIR)$(LIBDIR)/sslcv/libssl.so
	$(INSTALL) -m 644 $(BUILD)/sslcv.pc $(DESTDIR)$(LIBDIR)/sslcv/libssl.pc
endif

install-man: man
	$(INSTALL) -d $(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 644 $(BUILD)/man/man3/* $(DESTDIR)$(MANDIR)/man3
	$(INSTALL) -m 644 $(BUILD)/man/man7/* $(DESTDIR)$(MANDIR)/man7

uninstall:
	rm -f $(DESTDIR)$(MANDIR)/man3/sslcv_* $(DESTDIR)$(MANDIR)/man7/sslcv.7
	rm -f $(HEADERS:include/%=$(DESTDIR)$(INCLUDEDIR)/%)
	rm -f $(DESTDIR)$(LIBDIR)/libsslcv.a $(DESTDIR)$(LIBDIR)/$(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/$(SONAME) \
	  $(DESTDIR)$(LIBDIR)/libsslcv.so $(DESTDIR)$(PKGCONFIGDIR)/sslcv.pc \
	  $(CMAKE_FILES:$(BUILD)/%=$(DESTDIR)$(CMAKEDIR)/%) \
	  $(DESTDIR)$(LIBDIR)/sslcv/libssl.so $(DESTDIR)$(LIBDIR)/sslcv/libssl.pc
	-rmdir $(DESTDIR)$(INCLUDEDIR)/sslcv $(DESTDIR)$(LIBDIR)/sslcv $(DESTDIR)$(CMAKEDIR) 2>/dev/null || true

dist:
	@mkdir -p $(BUILD)
	git archive --format=tar --prefix=sslcv-$(VERSION)/ HEAD | gzip -n -9 > $(BUILD)/sslcv-$(VERSION).tar.gz

# ---- source code ----

# Headers are laid out by hand, in columns.
C_FILES = $(shell find lib tests examples -name '*.c' -o -name '*.cpp' | sort)

format:
	$(CLANG_FORMAT) -i $(C_FILES)
format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES) && echo "format-check: $(words $(C_FILES)) files"
lint: check-includes check-banned check-headers format-check
	@for script in tests/tools/*.sh; do sh -n $$script || exit 1; done

compile_commands.json: FORCE
	@{ echo '['; separator=; for f in $(SOURCES) $(TEST_SOURCES); do \
	  printf '%s{"directory": "%s", "file": "%s", "arguments": ["%s", "-std=c11", "-fopenmp", "-Iinclude", "-Ilib", "-Itests/unit", "-D_POSIX_C_SOURCE=200809L", "-DSSLCV_BUILD", "-DSSLCV__ONEDNN=\\"$(ONEDNN)\\"", "-c", "%s"]}' \
	    "$$separator" "$(CURDIR)" "$$f" "$(firstword $(CC))" "$$f"; separator=', '; done; echo ']'; } > $@

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(LEARNING:=.d) $(EXAMPLES_C:=.d) $(BENCHES:=.d) $(BUILD)/soak.d $(FAULT_TESTS:=.d) \
  $(BUILD)/fault/kill.d $(BUILD)/numbers/numbers.d $(FUZZ_OBJECTS:.o=.d)

endif # AFTER_DEPS

deps:
	@sh tests/tools/deps.sh

clean:
	rm -rf $(BUILD)

help:
	@echo 'make [lib]           libsslcv.a and libsslcv.so in $$(BUILD); also: static, shared'
	@echo 'make deps            install what building, the demo and the tests need (Debian, Ubuntu), or name it'
	@echo 'make demo            pre-train on real images and show what it brought: about three minutes'
	@echo 'make examples        the programs of examples/'
	@echo 'make man html        the reference, from the headers, into $$(BUILD)/man and $$(BUILD)/html; install-man'
	@echo 'make install         to $$(DESTDIR)$$(PREFIX); uninstall; LIBSSL_ALIAS=1: docs/packaging.md'
	@echo 'make check           all of: check-unit check-includes check-banned check-headers check-abi check-symbols'
	@echo '                     check-fuzz check-numbers check-races check-faults check-examples check-docs'
	@echo '                     check-reference check-install check-guest'
	@echo 'make check-unit ONLY=core    one suite'
	@echo 'make check-golden    losses and optimizers against published numbers, naive twins and finite differences'
	@echo 'make check-methods   recipes line by line, then whether each learns on real images: a quarter of an hour'
	@echo 'make fuzz            libFuzzer (clang) on each target of tests/fuzz/; TARGET=image SECONDS=600'
	@echo 'make check-asan      unit tests and fuzz corpus under AddressSanitizer and UBSan; check-valgrind: under valgrind'
	@echo 'make check-tsan      all that may happen at once, under ThreadSanitizer'
	@echo 'make coverage        which lines of lib/ the tests execute'
	@echo 'make check-onednn3   unit tests with oneDNN 3.x, in ONEDNN3=PREFIX or fetched by pip'
	@echo 'make bench           times beside PyTorch and ONNX Runtime; BENCH_FLAGS=--help; bench-learning: learning curves'
	@echo 'make check-interop   files, memory, weights, models and training steps beside NumPy, safetensors, PyTorch, ONNX Runtime, OpenCV'
	@echo 'make check-bindings ONLY=python    the library from other languages; those that are not installed are left out'
	@echo 'make check-debian    the Debian packages of debian/: built twice, lintian, compared, tried'
	@echo 'make check-faults    a file system that fails; runs that are killed 200 times and go on'
	@echo 'make check-memory    1,000 steps: does the process grow? soak: an hour of everything, SECONDS=3600'
	@echo 'make format          clang-format; format-check, lint, compile_commands.json'
	@echo 'make dist clean      source archive in $$(BUILD); remove $$(BUILD)'
	@echo 'Variables: CC CXX AR CFLAGS CPPFLAGS LDFLAGS PREFIX LIBDIR INCLUDEDIR PKGCONFIGDIR MANDIR DESTDIR BUILD OPENMP_CFLAGS OPENMP_LIBS JPEG LBFGS ONNX V=1'

FORCE:
.PHONY: all lib static shared examples demo tests check $(CHECKS) check-asan check-ubsan check-tsan coverage check-valgrind check-interop \
  check-bindings check-memory check-debian soak fuzz fuzz-run abi check-golden check-methods man html install-man check-onednn3 bench \
  bench-learning install uninstall dist format format-check lint deps clean help FORCE
