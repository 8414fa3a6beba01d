# pickstream. `make help` lists the targets.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

CC ?= gcc
AR ?= ar
CUDA ?= auto
SANITIZER ?=
V ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= /usr/bin/python3

VERSION := 0.1.0
REVISION := $(shell git describe --always --dirty --exclude='*' 2>/dev/null)

comma := ,
empty :=
space := $(empty) $(empty)
FLAVOUR := $(if $(SANITIZER),sanitize-$(subst $(comma),-,$(SANITIZER)),release)
B := build/$(FLAVOUR)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' '$(1)' '$(2)')

# ---- flags ---------------------------------------------------------------------------------------
# Fused multiply-adds are written as such where wanted, so that every build rounds alike; only the
# simd_*.c files leave the choice to the compiler.
PACKAGES := fftw3f libtiff-4 libpng jansson
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Wformat=2 \
            -Wmissing-prototypes -Wpointer-arith -Wundef
override CFLAGS := -std=gnu11 -O3 -g -fno-omit-frame-pointer -fPIC -fvisibility=hidden \
          -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread $(WARNINGS) \
          $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-sanitize-recover=all) $(CFLAGS)
override CPPFLAGS := -Iinclude -Isrc -Itests/golden -D_GNU_SOURCE \
          $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(CPPFLAGS)
override LDFLAGS := -pthread $(if $(SANITIZER),-fsanitize=$(SANITIZER)) $(LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -linih -lsvm -lm

# simd_*.c are built once for each instruction set, PS_ISA in their names; the best is taken at run
# time (src/backend/cpu_simd.c).
ISAS := $(if $(filter x86_64,$(shell uname -m)),sse2 avx2 avx512,generic)
ISA_FLAGS_generic :=
ISA_FLAGS_sse2 := -msse2
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c -mprefer-vector-width=256
ISA_FLAGS_avx512 := -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mf16c -mprefer-vector-width=512

# nvcc is found by itself; CUDA=0 leaves the GPU out. What there is under kernels/ is linked.
NVCC := $(if $(filter 0,$(CUDA)),,$(firstword $(shell command -v nvcc; ls /usr/local/cuda/bin/nvcc 2>/dev/null)))
KERNELS := $(if $(NVCC),$(wildcard kernels/*.cu))

# ---- what is built -------------------------------------------------------------------------------
SIMD_SOURCES := $(wildcard src/*/simd_*.c)
LIB_SOURCES := $(filter-out $(SIMD_SOURCES),$(wildcard src/base/*.c src/image/*.c src/picker/*.c src/backend/*.c))
APP_SOURCES := $(wildcard src/*.c src/output/*.c src/synth/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o) $(foreach i,$(ISAS),$(SIMD_SOURCES:%.c=$(B)/%.$(i).o)) \
               $(KERNELS:%.cu=$(B)/%.o)
APP_OBJECTS := $(APP_SOURCES:%.c=$(B)/%.o)
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c tests/golden/test_*.c))
TEST_HELPERS := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%.c tests/golden/test_%.c,$(wildcard tests/unit/*.c tests/golden/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all
all: $(B)/pickstream $(B)/libpickstream.a $(B)/libpickstream.so.0 $(B)/pickstream.conf.5

# Rebuild when the flags change.
$(B)/flags: force
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(LDLIBS) $(ISAS) $(NVCC)' | cmp -s - $@ || \
	 echo '$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(LDLIBS) $(ISAS) $(NVCC)' > $@
$(B)/version.h: force
	@mkdir -p $(@D)
	@echo '#define PS_VERSION "$(VERSION)$(if $(REVISION), ($(REVISION)))"' | cmp -s - $@ || \
	 echo '#define PS_VERSION "$(VERSION)$(if $(REVISION), ($(REVISION)))"' > $@
.PHONY: force
force:

$(B)/%.o: %.c $(B)/flags | $(B)/version.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -I$(B) $(CFLAGS) -MMD -MP -c -o $@ $<

define simd_rule
$(B)/%.$(1).o: %.c $(B)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$< ($(1)))
	$$(Q)$$(CC) $$(CPPFLAGS) -DPS_ISA=$(1) $$(CFLAGS) -ffp-contract=fast $$(ISA_FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call simd_rule,$(i))))

$(B)/libpickstream.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/libpickstream.so.0: $(LIB_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libpickstream.so.0 $(LDFLAGS) -o $@ $^ $(LDLIBS)
	@ln -sf libpickstream.so.0 $(B)/libpickstream.so

$(B)/pickstream: $(APP_OBJECTS) $(B)/libpickstream.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Unit tests see the inside of the library and of the writers.
TESTED := $(filter-out $(B)/src/main.o $(B)/src/cmd_%.o,$(APP_OBJECTS)) $(B)/libpickstream.a
$(UNIT_TESTS): %: %.o $(TEST_HELPERS) $(TESTED)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(B)/pickstream.conf.5: $(B)/pickstream
	$(Q)$< check --man > $@

-include $(LIB_OBJECTS:.o=.d) $(APP_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(TEST_HELPERS:.o=.d) $(FUZZERS:=.d)
