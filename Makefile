# pickstream. `make help` lists the targets.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

CC ?= gcc
AR ?= ar
CUDA ?= auto
EMULATED ?= 0
SANITIZER ?=
DEBUG ?= 0
WERROR ?= 0
V ?= 0
VIEW ?=
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
# Debian's zsh reads only its own directory below /usr.
ZSHDIR ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
# Debian's python3 looks here; elsewhere the module is beside the examples, to be copied.
PYTHONDIR ?= $(PREFIX)/$(if $(filter /usr,$(PREFIX)),lib/python3/dist-packages,share/pickstream)
DESTDIR ?=
PYTHON ?= /usr/bin/python3
PYTEST_ARGUMENTS ?=

VERSION := 0.1.0
REVISION := $(shell git describe --always --dirty --exclude='*' 2>/dev/null)

comma := ,
empty :=
space := $(empty) $(empty)
FLAVOUR := $(strip $(if $(SANITIZER),sanitize-$(subst $(comma),-,$(SANITIZER))) $(if $(filter 1,$(DEBUG)),debug))
FLAVOUR := $(strip $(if $(filter 1,$(EMULATED)),emulated) $(or $(FLAVOUR),release))
B := build/$(subst $(space),-,$(FLAVOUR))
# Nothing of the emulation is timed but its compilation.
OPTIMISE := $(if $(filter 1,$(DEBUG)),-Og -g3,$(if $(filter 1,$(EMULATED)),-O1 -g1,-O3 -g))
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' '$(1)' '$(2)')

# ---- flags ---------------------------------------------------------------------------------------
# gcc's UBSan makes it see truncated formats where there are none. Fused multiply-adds are written as such where wanted, so that every build rounds alike; only the
# files of FUSED leave the choice to the compiler.
PACKAGES := fftw3f libtiff-4 libpng zlib jansson libzmq sqlite3 libmicrohttpd
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Wformat=2 \
            -Wmissing-prototypes -Wpointer-arith -Wundef $(if $(filter 1,$(WERROR)),-Werror)
override CFLAGS := -std=gnu11 $(OPTIMISE) -fno-omit-frame-pointer -fPIC -fvisibility=hidden \
          -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread $(WARNINGS) \
          $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-sanitize-recover=all -Wno-format-truncation) \
          $(CFLAGS)
override CPPFLAGS := -Iinclude -Isrc -Ikernels -Itests/golden -D_GNU_SOURCE \
          $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(CPPFLAGS)
override LDFLAGS := -pthread $(if $(SANITIZER),-fsanitize=$(SANITIZER)) $(LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -linih -lsvm -lm

# simd_*.c are built once for each instruction set, PS_ISA in their names; the best is taken at run
# time (src/backend/cpu/simd.c). The emulation compares with the CPU, in whichever set.
ISAS := $(if $(filter 1,$(EMULATED)),generic,$(if $(filter x86_64,$(shell uname -m)),sse2 avx2 avx512,generic))
override CPPFLAGS += $(if $(filter generic,$(ISAS)),-DPS_GENERIC)
ISA_FLAGS_generic :=
ISA_FLAGS_sse2 := -msse2
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c -mprefer-vector-width=256
ISA_FLAGS_avx512 := -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mf16c -mprefer-vector-width=512

# nvcc is found by itself, and asked where its toolkit is, for what is found may be a link or a
# script; CUDA=0 leaves the GPU out. With EMULATED=1 kernels and host code of the GPU are built for
# an emulation of both (tests/emu), which needs neither nvcc nor a GPU.
NVCC := $(if $(filter 0,$(CUDA))$(filter 1,$(EMULATED)),,$(firstword $(shell command -v nvcc; ls /usr/local/cuda/bin/nvcc 2>/dev/null)))
CUDA_HOME := $(if $(NVCC),$(realpath $(shell $(NVCC) --dryrun -x cu /dev/null 2>&1 | sed -n 's/^\#\$$ TOP=//p')))
# An older nvcc builds for those that it knows.
known := $(patsubst compute_%,%,$(if $(NVCC),$(shell $(NVCC) --list-gpu-arch)))
CUDA_ARCHITECTURES ?= $(filter $(known),75 80 86 89 90 100 120)
GPU := $(if $(NVCC)$(filter 1,$(EMULATED)),1)
KERNELS := $(if $(GPU),$(wildcard kernels/*.cu))
# Machine code for other cards is in other objects, so that going from some cards to others compiles
# nothing twice.
KERNEL_DIRECTORY := $(B)/kernels$(if $(NVCC),/sm-$(subst $(space),-,$(strip $(CUDA_ARCHITECTURES))))
KERNEL_OBJECTS := $(KERNELS:kernels/%.cu=$(KERNEL_DIRECTORY)/%.o)
EMULATION := $(if $(filter 1,$(EMULATED)),$(B)/tests/emu/libcufft.so.12)
newest := $(lastword $(CUDA_ARCHITECTURES))
NVCCFLAGS := -std=c++17 -O3 -fmad=false -lineinfo -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra --threads 2 \
             $(foreach a,$(CUDA_ARCHITECTURES),-gencode arch=compute_$(a),code=sm_$(a)) \
             -gencode arch=compute_$(newest),code=compute_$(newest)
ifneq ($(NVCC),)
CUDA_CPPFLAGS := -DPS_CUDA=1 -isystem $(CUDA_HOME)/include
LDLIBS += $(CUDA_HOME)/lib64/libcudart_static.a -ldl -lrt -lstdc++
else ifneq ($(EMULATION),)
CUDA_CPPFLAGS := -DPS_CUDA=1 -isystem tests/emu/include
LDLIBS += -L$(B)/tests/emu -l:libcufft.so.12 -Wl,-rpath,$(CURDIR)/$(B)/tests/emu -lstdc++
endif

# ---- what is built -------------------------------------------------------------------------------
# The library is made of these folders, the program of all.
LIB_FOLDERS := base formulas image config picker backend backend/cpu $(if $(GPU),backend/cuda)
SOURCES := $(filter-out $(if $(GPU),,src/backend/cuda%),$(wildcard src/*/*.c src/*/*/*.c))
SIMD_SOURCES := $(foreach s,$(SOURCES),$(if $(filter simd_%,$(notdir $(s))),$(s)))
LIB_SOURCES := $(filter-out $(SIMD_SOURCES),$(foreach f,$(LIB_FOLDERS),$(filter $(wildcard src/$(f)/*.c),$(SOURCES))))
APP_SOURCES := $(filter-out $(LIB_SOURCES) $(SIMD_SOURCES),$(SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o) $(foreach i,$(ISAS),$(SIMD_SOURCES:%.c=$(B)/%.$(i).o)) \
               $(KERNEL_OBJECTS)
APP_OBJECTS := $(APP_SOURCES:%.c=$(B)/%.o)
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c tests/golden/test_*.c))
TEST_HELPERS := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%.c tests/golden/test_%.c tests/parity/test_%.c,$(wildcard tests/unit/*.c tests/golden/*.c tests/parity/*.c)))
PARITY_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/parity/test_*.c))
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
CAMPAIGN_LIBRARIES := $(patsubst %.c,$(B)/%.so,$(wildcard tests/campaign/*.c))

.PHONY: all
all: $(B)/pickstream $(B)/libpickstream.a $(B)/libpickstream.so.0 man-pages completions

# Rebuild when the flags change; those of CUDA concern few files.
define remember
@mkdir -p $(@D)
@echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
endef
$(B)/flags: force
	$(call remember,$(CC) $(CFLAGS) $(CPPFLAGS) $(ISAS))
$(B)/cuda-flags: force
	$(call remember,$(CUDA_CPPFLAGS) $(NVCC) $(CUDA_ARCHITECTURES))
$(B)/link-flags: force
	$(call remember,$(LDFLAGS) $(LDLIBS) $(KERNEL_OBJECTS))
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

# The page of the live view and the library that draws its plots, from its package; without it the
# page has no plots. Its licence goes with it.
PLOTS := $(wildcard /usr/share/javascript/dygraphs/dygraph.min.js)
$(B)/view/plots: force
	$(call remember,$(PLOTS))
$(B)/view/plot.js $(B)/view/plot.css $(B)/view/plot-licence.txt: $(B)/view/plots
	@cat $(if $(PLOTS),$(or $(wildcard $(PLOTS:.js=$(suffix $@))),/usr/share/doc/libjs-dygraphs/copyright),/dev/null) > $@
$(B)/src/http/view/assets.o: override CPPFLAGS += -DPS_VIEW_PLOT='"$(B)/view"'
$(B)/src/http/view/assets.o: $(wildcard src/http/view/*.html src/http/view/*.css src/http/view/*.js src/http/view/*.svg) \
                        $(addprefix $(B)/view/,plot.js plot.css plot-licence.txt)

# The rounding of the others is the same with every instruction set.
FUSED := $(foreach s,score classify peak,simd_$(s))
define simd_rule
$(B)/%.$(1).o: %.c $(B)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$< ($(1)))
	$$(Q)$$(CC) $$(CPPFLAGS) -DPS_ISA=$(1) $$(CFLAGS) $$(if $$(filter $$(FUSED),$$(notdir $$*)),-ffp-contract=fast) $$(ISA_FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call simd_rule,$(i))))

USES_CUDA := $(B)/src/backend/registry.o $(B)/src/backend/cuda/%.o $(B)/tests/parity/%.o $(B)/tests/bench/%.o
CUDA_USERS := $(filter $(USES_CUDA),$(LIB_OBJECTS) $(TEST_HELPERS) $(PARITY_TESTS:=.o) $(BENCHES:=.o))
$(CUDA_USERS): override CPPFLAGS += $(CUDA_CPPFLAGS)
$(CUDA_USERS): $(B)/cuda-flags

ifneq ($(NVCC),)
$(KERNEL_DIRECTORY)/%.o: kernels/%.cu
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(NVCC) -Ikernels -Isrc -Iinclude $(NVCCFLAGS) -MMD -MP -c -o $@ $<
else
EMULATED_CXXFLAGS := -std=gnu++17 -O2 -g1 -fno-omit-frame-pointer -fPIC -fno-semantic-interposition -ftls-model=initial-exec -fno-strict-aliasing -ffp-contract=off -fno-math-errno -pthread \
                     -Wall -Wextra -Wno-unknown-pragmas $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-sanitize-recover=all)
$(B)/%.o: %.cu $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$< (emulated))
	$(Q)$(CXX) -x c++ -DPS_EMULATED=1 -Itests/emu/include -Ikernels -Isrc -Iinclude $(EMULATED_CXXFLAGS) -MMD -MP -c -o $@ $<
$(B)/tests/emu/%.o: tests/emu/%.cpp $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) -DPS_EMULATED=1 -Itests/emu/include $(EMULATED_CXXFLAGS) -MMD -MP -c -o $@ $<
endif
# Sanitizers slow the switching of fibers down most and find least there.
$(addprefix $(B)/tests/emu/,block.o fiber.o meeting.o): EMULATED_CXXFLAGS += -fno-sanitize=all
EMULATION_OBJECTS := $(if $(EMULATION),$(patsubst %.cpp,$(B)/%.o,$(filter-out tests/emu/test_%,$(wildcard tests/emu/*.cpp))))
$(B)/tests/emu/libcufft.so.12: $(EMULATION_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CXX) -shared -Wl,-soname,libcufft.so.12 $(LDFLAGS) -o $@ $^ -lfftw3f_threads -lfftw3f

# What needs the emulation or, but for its own tests, a GPU.
GPU_TESTS := $(if $(EMULATION),$(patsubst %.cu,$(B)/%,$(wildcard tests/emu/test_*.cu)))
$(GPU_TESTS): %: %.o | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ -L$(B)/tests/emu -l:libcufft.so.12 -Wl,-rpath,$(CURDIR)/$(B)/tests/emu -lcmocka

$(B)/libpickstream.a: $(LIB_OBJECTS) $(B)/link-flags
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(B)/libpickstream.so.0: $(LIB_OBJECTS) $(B)/link-flags | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libpickstream.so.0 $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)
	@ln -sf libpickstream.so.0 $(B)/libpickstream.so

$(B)/pickstream: $(APP_OBJECTS) $(B)/libpickstream.a | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Tests see the inside of the library and of the program. They link archives, so each gets the
# objects that it needs and no others.
$(B)/program.a: $(filter-out $(B)/src/cli/main.o $(B)/src/cli/cmd_%.o,$(APP_OBJECTS))
$(B)/tests/helpers.a: $(TEST_HELPERS)
$(B)/program.a $(B)/tests/helpers.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
TESTED := $(B)/program.a $(B)/libpickstream.a
$(UNIT_TESTS) $(PARITY_TESTS): %: %.o $(B)/tests/helpers.a $(TESTED) | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# A tree for `man -M $(B)/man`, and the files of shells, usable without an installation.
MAN_PAGES := $(foreach p,$(notdir $(wildcard src/man/*.[1-9])) pickstream.conf.5,man$(subst .,,$(suffix $(p)))/$(p))
COMPLETIONS := pickstream.bash _pickstream
.PHONY: man-pages completions
man-pages: $(MAN_PAGES:%=$(B)/man/%)
completions: $(COMPLETIONS:%=$(B)/completion/%)

$(B)/man/man5/pickstream.conf.5: $(B)/pickstream
	@mkdir -p $(@D)
	$(Q)$< check --man > $@
define man_rule
$(B)/man/$(1): src/man/$(notdir $(1))
	@mkdir -p $$(@D) && cp $$< $$@
endef
$(foreach p,$(filter-out %/pickstream.conf.5,$(MAN_PAGES)),$(eval $(call man_rule,$(p))))

$(B)/completion/pickstream.bash: $(B)/pickstream
	@mkdir -p $(@D)
	$(Q)$< completion bash > $@
$(B)/completion/_pickstream: $(B)/pickstream
	@mkdir -p $(@D)
	$(Q)$< completion zsh > $@

# Fuzzers replay their corpus here; clang's -fsanitize=fuzzer drives the same files for real.
$(FUZZERS): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/standalone.o $(TESTED) | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Loaded before the program under test, never into the compiler's sanitizers.
$(CAMPAIGN_LIBRARIES): $(B)/%.so: %.c tests/campaign/preload.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=gnu11 -O2 -g -fPIC -fno-builtin -pthread $(WARNINGS) -D_GNU_SOURCE -shared -o $@ $< -ldl

# ---- packages ------------------------------------------------------------------------------------
BUILD_PACKAGES := gcc libc6-dev pkg-config libfftw3-dev libsvm-dev libtiff-dev libinih-dev \
                  libpng-dev zlib1g-dev libjansson-dev libzmq3-dev libsqlite3-dev \
                  libmicrohttpd-dev libjs-dygraphs
CHECK_PACKAGES := $(BUILD_PACKAGES) g++ libcmocka-dev python3-pytest python3-numpy python3-scipy python3-mrcfile \
                  python3-tifffile python3-pil python3-zmq python3-jsonschema \
                  python3-prometheus-client python3-selenium chromium chromium-driver \
                  relion man-db systemd procps snakemake \
                  debhelper lintian mmdebstrap
DEB_PACKAGES := $(BUILD_PACKAGES) debhelper
LINT_PACKAGES := $(BUILD_PACKAGES) clang-tidy cppcheck
FORMAT_PACKAGES := clang-format

# ---- what one does with it -----------------------------------------------------------------------
# On all cores, unless told otherwise.
BUILD = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# The demo and the tests need machine code for this machine's card alone. Without a card the demo
# builds no kernels; the tests build those of one card, which shows that nvcc takes them. Cards that
# are named in CUDA_ARCHITECTURES, and kernels that an earlier make has built for all, are kept.
NATIVE = $(filter $(known),$(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d . | sort -u))
ASKED := $(strip $(if $(NVCC),$(filter-out file default,$(origin CUDA_ARCHITECTURES)) $(if $(filter-out $(wildcard $(KERNEL_OBJECTS)),$(KERNEL_OBJECTS)),,built),no nvcc))
FOR_NATIVE_OR_NONE = $(if $(ASKED),,$(if $(NATIVE),CUDA_ARCHITECTURES='$(NATIVE)',CUDA=0))
FOR_NATIVE_OR_NEWEST = $(if $(ASKED),,CUDA_ARCHITECTURES='$(or $(NATIVE),$(newest))')

.PHONY: demo
demo: ## install what it needs, then pick synthetic micrographs and show how well (VIEW=1 goes on)
	@tests/packages.sh $(BUILD_PACKAGES)
	+@$(BUILD) all $(FOR_NATIVE_OR_NONE)
	@VIEW='$(VIEW)' tests/demo.sh $(B)/pickstream build/demo

# The GPU's code runs in `make check` too, on the emulation and under sanitizers.
CHECK_EMULATED := $(if $(filter thread,$(SANITIZER)),thread,address$(comma)undefined)
# Not $(MAKE) in the recipe: `make -n check` would run the tests.
TESTS_MAKE := $(MAKE)
.PHONY: check
check: ## install what they need, then run all tests (SANITIZER=address,undefined or thread)
	@tests/packages.sh $(CHECK_PACKAGES)
	+@$(BUILD) all check-programs check-layers $(FOR_NATIVE_OR_NEWEST)
	+@$(BUILD) EMULATED=1 SANITIZER=$(CHECK_EMULATED) check-gpu-programs
	@PICKSTREAM_EMULATED=build/emulated-sanitize-$(subst $(comma),-,$(CHECK_EMULATED)) \
	 PICKSTREAM_BUILD=$(B) PICKSTREAM_SANITIZER=$(SANITIZER) CC='$(CC)' MAKE='$(TESTS_MAKE)' $(FOR_NATIVE_OR_NEWEST) \
	 ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
	 TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp \
	 tests/check.sh $(PYTHON) $(PYTEST_ARGUMENTS)

# T=journal, or T='journal watcher', runs those alone.
SELECTED := $(if $(and $(T),$(filter check-unit,$(MAKECMDGOALS))),$(foreach t,$(T),$(or $(filter %/test_$(t),$(UNIT_TESTS)),$(error no test test_$(t).c))),$(UNIT_TESTS))
.PHONY: check-unit
check-unit: $(SELECTED) ## run the C tests alone (T=NAME: one of them), without packages and emulation
	@tests/run_programs.sh $(SELECTED)

.PHONY: check-fast
check-fast: all check-programs check-layers ## the C tests, the fuzzers' corpora, and the layers
	@tests/run_programs.sh $(UNIT_TESTS)
	@$(foreach f,$(FUZZERS),$(f) tests/fuzz/corpus/$(patsubst fuzz_%,%,$(notdir $(f))) >/dev/null &&) :

.PHONY: check-layers
check-layers: $(APP_OBJECTS) $(LIB_OBJECTS) ## prove that includes and calls point downwards
	@$(PYTHON) tests/check_layers.py $(B)

.PHONY: ci
ci: ## everything: format, lint, all tests, and no warning of the compiler
	+@$(MAKE) --no-print-directory check-format lint
	+@$(MAKE) --no-print-directory check WERROR=1

.PHONY: check-programs
check-programs: $(UNIT_TESTS) $(FUZZERS) $(CAMPAIGN_LIBRARIES)

.PHONY: check-gpu-programs
check-gpu-programs: $(B)/pickstream $(GPU_TESTS) $(PARITY_TESTS) $(B)/tests/golden/test_golden

$(BENCHES): %: %.o $(TESTED) | $(EMULATION)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: bench
bench: all $(BENCHES) ## measure this machine: stages of a micrograph, ways to correlate
	$(B)/pickstream bench
	$(foreach b,$(BENCHES),$(b))

.PHONY: check-gpu
check-gpu: all $(PARITY_TESTS) ## prove the CUDA backend on this machine's GPU; skipped without one
	@mkdir -p $(B)/check-gpu && cp $(B)/pickstream $(PARITY_TESTS) $(B)/check-gpu/
	@tests/parity/check_gpu.sh $(B)/check-gpu || [ $$? -eq 77 ]

# What an offline machine needs: the program, its libraries but for glibc, CUDA's and the driver's,
# and the checks of the GPU. CUFFT=1 adds NVIDIA's cuFFT, for a machine that only has the driver.
BUNDLE := build/bundle/pickstream-$(VERSION)-$(shell uname -m)
CUFFT ?= 0
.PHONY: bundle
bundle: all $(PARITY_TESTS) ## pack what runs on an offline machine into build/bundle/ (CUFFT=1: with cuFFT)
	@rm -rf $(BUNDLE) && mkdir -p $(BUNDLE)/bin $(BUNDLE)/lib $(BUNDLE)/check
	$(call say,LD,$(BUNDLE)/bin/pickstream)
	$(Q)$(CC) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../lib' -Wl,--disable-new-dtags -o $(BUNDLE)/bin/pickstream \
	 $(APP_OBJECTS) $(B)/libpickstream.a $(LDLIBS)
	$(Q)for t in $(PARITY_TESTS); do \
	 $(CC) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../lib' -Wl,--disable-new-dtags -o $(BUNDLE)/check/$$(basename $$t) $$t.o \
	 $(B)/tests/helpers.a $(TESTED) $(LDLIBS) -lcmocka || exit 1; done
	$(Q)ln -s ../bin/pickstream $(BUNDLE)/check/pickstream
	$(Q)cp tests/parity/check_gpu.sh tests/bench/gpu.sh $(BUNDLE)/check/
	$(Q)ldd $(BUNDLE)/bin/pickstream $(addprefix $(BUNDLE)/check/,$(notdir $(PARITY_TESTS))) | awk '$$2 == "=>" && $$3 ~ /^\// {print $$3}' | sort -u | \
	 grep -vE '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|cuda|cudart|cufft)\.so[^/]*)$$' | xargs -I{} cp -L {} $(BUNDLE)/lib/
	$(if $(filter 1,$(CUFFT)),$(Q)cp -L $(CUDA_HOME)/lib64/libcufft.so.[0-9]* $(BUNDLE)/lib/)
	$(Q)$(MAKE) --no-print-directory -s install PREFIX=/opt/pickstream DESTDIR=$(CURDIR)/$(BUNDLE)/installed
	$(Q)mv $(BUNDLE)/installed/opt/pickstream/share $(BUNDLE)/ && mkdir $(BUNDLE)/systemd && \
	 mv $(BUNDLE)/installed/opt/pickstream/lib/systemd/system/* $(BUNDLE)/systemd/ && \
	 cp systemd/pickstream.sysusers systemd/pickstream.tmpfiles $(BUNDLE)/systemd/ && rm -r $(BUNDLE)/installed
	$(Q)cp README.md LICENSE $(BUNDLE)/
	$(Q)cd $(BUNDLE) && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum > SHA256SUMS
	$(Q)tar -C build/bundle -czf $(BUNDLE).tar.gz $(notdir $(BUNDLE))
	@ls -lh $(BUNDLE).tar.gz

.PHONY: soak
soak: all ## 10,000 micrographs through the service: does its memory stay flat?
	PICKSTREAM_BUILD=$(B) $(PYTHON) tests/bench/stream.py soak

# Long runs that try to make the program lose, repeat, crash or hang; T=kills, or T='kills faults',
# runs those alone. SEED=... repeats one.
CAMPAIGNS := $(patsubst tests/campaign/%.py,%,$(shell grep -l '^if __name__' tests/campaign/*.py))
SECONDS ?= 600
.PHONY: campaign
campaign: all $(CAMPAIGN_LIBRARIES) ## kills, faults, hostile files and more (T=NAME SECONDS=600 SEED=...)
	@failed=; for t in $(or $(T),$(CAMPAIGNS)); do \
	 PICKSTREAM_BUILD=$(B) PICKSTREAM_SANITIZER=$(SANITIZER) $(PYTHON) tests/campaign/$$t.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) || failed="$$failed $$t"; \
	 done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

.PHONY: lint
lint: ## clang-tidy and cppcheck
	@tests/packages.sh $(LINT_PACKAGES)
	@$(MAKE) --no-print-directory $(B)/version.h
	@printf '%s\n' $(filter-out $(SIMD_SOURCES),$(SOURCES)) | xargs -P $(shell nproc) -n 8 sh -c \
	 'exec clang-tidy --quiet --warnings-as-errors="*" "$$@" -- -std=gnu11 $(CPPFLAGS) $(CUDA_CPPFLAGS) -I$(B)' sh
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,performance,portability \
	 --suppress=missingIncludeSystem --suppress=invalidPointerCast --suppress=normalCheckLevelMaxBranches -DPS_ISA=generic \
	 -Iinclude -Isrc -I$(B) src

FORMATTED := $(wildcard include/*.h src/*/*.[ch] src/*/*/*.[ch] tests/*/*.[ch] tests/emu/*.c* tests/emu/include/*.h kernels/*)
.PHONY: format
format: ## clang-format every C file in place
	clang-format -i $(FORMATTED)

.PHONY: check-format
check-format: ## name what clang-format would change
	@tests/packages.sh $(FORMAT_PACKAGES)
	@clang-format --dry-run -Werror $(FORMATTED)

.PHONY: config
config: $(B)/pickstream ## write conf/pickstream.ini anew from the table of keys
	$< check --template > conf/pickstream.ini

# What people copy and adapt, and what other programs read.
SHARED := conf/pickstream.ini conf/Snakefile conf/prometheus-alerts.yml conf/grafana-dashboard.json include/messages.schema.json $(wildcard conf/examples/*)
.PHONY: install
install: all ## install below PREFIX (default /usr/local), DESTDIR is put before it
	install -D -m 755 $(B)/pickstream $(DESTDIR)$(PREFIX)/bin/pickstream
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 include/pickstream.h include/pickstream_wire.h $(DESTDIR)$(PREFIX)/include
	install -D -m 644 $(B)/libpickstream.a $(DESTDIR)$(LIBDIR)/libpickstream.a
	install -D -m 755 $(B)/libpickstream.so.0 $(DESTDIR)$(LIBDIR)/libpickstream.so.0
	ln -sf libpickstream.so.0 $(DESTDIR)$(LIBDIR)/libpickstream.so
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	printf '%s\n' 'Name: pickstream' 'Description: particle picks in cryo-EM micrographs' \
	 'Version: $(VERSION)' 'Cflags: -I$(PREFIX)/include' 'Libs: -L$(LIBDIR) -lpickstream' \
	 'Libs.private: $(LDLIBS)' > $(DESTDIR)$(LIBDIR)/pkgconfig/pickstream.pc
	for page in $(MAN_PAGES); do install -D -m 644 $(B)/man/$$page $(DESTDIR)$(PREFIX)/share/man/$$page || exit 1; done
	install -D -m 644 $(B)/completion/pickstream.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pickstream
	install -D -m 644 $(B)/completion/_pickstream $(DESTDIR)$(ZSHDIR)/_pickstream
	install -D -m 644 include/pickstream.py $(DESTDIR)$(PYTHONDIR)/pickstream.py
	for file in $(SHARED); do install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/pickstream/$${file#*/} || exit 1; done
	install -D -m 644 systemd/pickstream.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/pickstream.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	sed 's|/usr/bin/pickstream|$(PREFIX)/bin/pickstream|' systemd/pickstream.service \
	 > $(DESTDIR)$(PREFIX)/lib/systemd/system/pickstream.service
	sed 's|/usr/share/pickstream|$(PREFIX)/share/pickstream|' systemd/pickstream.tmpfiles \
	 > $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pickstream.conf

.PHONY: uninstall
uninstall: ## remove what install installed
	rm -f $(DESTDIR)$(ZSHDIR)/_pickstream $(DESTDIR)$(PYTHONDIR)/pickstream.py $(addprefix $(DESTDIR)$(LIBDIR)/,libpickstream.a libpickstream.so.0 libpickstream.so pkgconfig/pickstream.pc) \
	 $(addprefix $(DESTDIR)$(PREFIX)/,bin/pickstream include/pickstream.h include/pickstream_wire.h \
	 $(MAN_PAGES:%=share/man/%) share/bash-completion/completions/pickstream \
	 $(foreach file,$(SHARED),share/pickstream/$(patsubst conf/%,%,$(file:include/%=%))) \
	 lib/systemd/system/pickstream.service lib/sysusers.d/pickstream.conf lib/tmpfiles.d/pickstream.conf)
	-rmdir $(DESTDIR)$(PREFIX)/share/pickstream/examples $(DESTDIR)$(PREFIX)/share/pickstream 2>/dev/null

# In a copy of conf/debian, for debhelper wants it in debian/; with a build directory of its own, for
# the flags are Debian's.
DEB ?= build/deb
.PHONY: deb
deb: ## build Debian packages in build/deb: the program with its service, the library, the module for Python
	@tests/packages.sh $(DEB_PACKAGES)
	rm -rf $(DEB)/source $(DEB)/*.deb
	mkdir -p $(DEB)/source
	cp -r conf/debian $(DEB)/source/debian
	printf 'pickstream (%s) unstable; urgency=medium\n\n  * See the history of the source.\n\n -- %s  %s\n' \
	 '$(VERSION)' "$$(sed -n 's/^Maintainer: //p' conf/debian/control)" \
	 "$$(git log -1 --format=%aD 2>/dev/null || date -R)" > $(DEB)/source/debian/changelog
	cd $(DEB)/source && PICKSTREAM='$(CURDIR)' OBJECTS='$(DEB)/objects' DEB_BUILD_OPTIONS='noautodbgsym parallel=$(shell nproc)' \
	 dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
	@ls $(DEB)/*.deb

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## list the targets
	@echo 'make [TARGET] [SANITIZER=...] [DEBUG=1] [WERROR=1] [CUDA=0] [V=1] [PREFIX=...] [DESTDIR=...]'
	@echo '  all          build/release/pickstream and the library'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo 'nvcc: $(if $(NVCC),$(NVCC)$(comma) for $(CUDA_ARCHITECTURES),none)'

-include $(LIB_OBJECTS:.o=.d) $(EMULATION_OBJECTS:.o=.d) $(APP_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(GPU_TESTS:=.d) $(PARITY_TESTS:=.d) $(TEST_HELPERS:.o=.d) $(FUZZERS:=.d) $(BENCHES:=.d)
