// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_obj: objects written by obj_write() pass libbpf, its linker and checks of our own; needs no
 * privilege.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lint.h"
#include "make.h"

static char dir[] = "/tmp/n2b-obj-XXXXXX";
static const char *path(const char *name)
{
	static char p[2][128];
	static int i;

	i = !i;
	snprintf(p[i], sizeof(p[i]), "%s/%s", dir, name);
	return p[i];
}

static uint8_t *slurp(const char *p, size_t *n)
{
	FILE *f = fopen(p, "r");
	uint8_t *b;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	b = malloc(*n + 1);
	assert_int_equal(fread(b, 1, *n, f), *n);
	fclose(f);
	return b;
}

static int write_everything(bool runtime, const char *p)
{
	struct make *m = make_new();
	int err;

	make_everything(m, runtime);
	err = obj_write(&m->o, p);
	make_free(m);
	return err;
}

static void everything_is_sound(void **state)
{
	const char *fault;

	for (int runtime = 0; runtime < 2; runtime++) {
		assert_int_equal(write_everything(runtime, path("x.o")), 0);
		fault = lint_object(path("x.o"));
		if (fault)
			fail_msg("%s", fault);
	}
}

static void same_input_same_bytes(void **state)
{
	size_t na, nb;
	uint8_t *a, *b;

	assert_int_equal(write_everything(true, path("a.o")), 0);
	assert_int_equal(write_everything(true, path("b.o")), 0);
	a = slurp(path("a.o"), &na);
	b = slurp(path("b.o"), &nb);
	assert_int_equal(na, nb);
	assert_memory_equal(a, b, na);
	assert_null(memmem(a, na, dir, strlen(dir)));
	free(a);
	free(b);
}

static void runtime_only_where_called(void **state)
{
	struct make *m = make_new();
	struct bpf_object *o;

	make_fn(m, "walk", true, false);
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, "n2b_ip6_walk", NULL);
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
	assert_int_equal(obj_write(&m->o, path("w.o")), 0);
	make_free(m);
	o = bpf_object__open_file(path("w.o"), NULL);
	assert_non_null(o);
	assert_true(btf__find_by_name_kind(bpf_object__btf(o), "n2b_ip6_walk", BTF_KIND_FUNC) > 0);
	assert_int_equal(btf__find_by_name_kind(bpf_object__btf(o), "n2b_pull", BTF_KIND_FUNC),
			 -ENOENT);
	bpf_object__close(o);
}

static void maps_are_as_asked(void **state)
{
	struct bpf_object *o;
	struct bpf_map *m;

	assert_int_equal(write_everything(false, path("m.o")), 0);
	o = bpf_object__open_file(path("m.o"), NULL);
	assert_non_null(o);
	m = bpf_object__find_map_by_name(o, "set_a");
	assert_non_null(m);
	assert_int_equal(bpf_map__type(m), BPF_MAP_TYPE_HASH);
	assert_int_equal(bpf_map__key_size(m), 12);
	assert_int_equal(bpf_map__value_size(m), 24);
	assert_int_equal(bpf_map__max_entries(m), 100);
	assert_true(bpf_map__btf_value_type_id(m) > 0);
	m = bpf_object__find_map_by_name(o, "set_b");
	assert_int_equal(bpf_map__map_flags(m), BPF_F_NO_PREALLOC);
	bpf_object__close(o);
}

/* A failure leaves what was there, and no temporary file. */
static void failure_leaves_no_trace(void **state)
{
	char cmd[256];

	assert_true(write_everything(false, path("no/such/dir.o")) < 0);
	assert_int_equal(mkdir(path("taken.o"), 0700), 0);
	assert_int_equal(write_everything(false, path("taken.o/")) < 0, 1);
	snprintf(cmd, sizeof(cmd), "test -z \"$(find %s -name '*.o.[!l]*')\"", dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(write_everything(false, "/dev/null"), 0);
}

/* The lint must see what it is for. */
static void lint_sees_faults(void **state)
{
	size_t n;
	uint8_t *b;
	uint32_t *off;
	FILE *f;

	assert_int_equal(write_everything(false, path("f.o")), 0);
	b = slurp(path("f.o"), &n);
	off = lint_first_core(b, n);
	assert_non_null(off);
	*off += 4;
	f = fopen(path("f.o"), "w");
	assert_int_equal(fwrite(b, 1, n, f), n);
	fclose(f);
	assert_non_null(lint_object(path("f.o")));
	free(b);
}

static int quiet(enum libbpf_print_level l, const char *fmt, va_list ap)
{
	return 0;
}

static int setup(void **state)
{
	libbpf_set_print(quiet);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_sound),
		cmocka_unit_test(same_input_same_bytes),
		cmocka_unit_test(runtime_only_where_called),
		cmocka_unit_test(maps_are_as_asked),
		cmocka_unit_test(failure_leaves_no_trace),
		cmocka_unit_test(lint_sees_faults),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
