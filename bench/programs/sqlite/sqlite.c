// SQLite: a database in memory is filled, indexed, and asked with joins and aggregates.
#include <sqlite3-binding.h>
#include <string.h>

#include "../words.h"

enum { customers = 100, orders = 1000 };

// What SQLite asks of a system, whose files a database in memory does not use.
static int no_file(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
  (void)v, (void)name, (void)f, (void)flags, (void)out;
  return SQLITE_CANTOPEN;
}

static int random_bytes(sqlite3_vfs *v, int n, char *out) {
  (void)v;
  memset(out, 7, (size_t)n);
  return n;
}

static int no_time(sqlite3_vfs *v, double *out) {
  (void)v;
  *out = 0;
  return SQLITE_OK;
}

int sqlite3_os_init(void) {
  static sqlite3_vfs none = {.iVersion = 1, .szOsFile = sizeof(sqlite3_file), .mxPathname = 64, .zName = "none",
                             .xOpen = no_file, .xRandomness = random_bytes, .xCurrentTime = no_time};
  return sqlite3_vfs_register(&none, 1);
}

int sqlite3_os_end(void) { return SQLITE_OK; }

static sqlite3_int64 total; // of all amounts

static int fill(sqlite3 *db) {
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(db, "insert into customers(id, name) values (?, ?)", -1, &s, 0)) return 1;
  for (int i = 0; i < customers; i++) {
    char *name = sqlite3_mprintf("%s %s %d", word(), word(), i);
    sqlite3_bind_int(s, 1, i);
    sqlite3_bind_text(s, 2, name, -1, sqlite3_free);
    if (sqlite3_step(s) != SQLITE_DONE) return 1;
    sqlite3_reset(s);
  }
  sqlite3_finalize(s);
  if (sqlite3_prepare_v2(db, "insert into orders(customer, amount, note) values (?, ?, ?)", -1, &s, 0)) return 1;
  total = 0;
  for (int i = 0; i < orders; i++) {
    int amount = (int)number(100000);
    total += amount;
    sqlite3_bind_int(s, 1, (int)number(customers));
    sqlite3_bind_int(s, 2, amount);
    sqlite3_bind_text(s, 3, word(), -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_DONE) return 1;
    sqlite3_reset(s);
  }
  return sqlite3_finalize(s);
}

// sum adds up the first column of a query's rows; -1 if it fails.
static sqlite3_int64 sum(sqlite3 *db, const char *query) {
  sqlite3_stmt *s;
  sqlite3_int64 n = 0;
  int state;
  if (sqlite3_prepare_v2(db, query, -1, &s, 0)) return -1;
  while ((state = sqlite3_step(s)) == SQLITE_ROW) n += sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return state == SQLITE_DONE ? n : -1;
}

static int ask(sqlite3 *db) {
  if (sqlite3_exec(db, "create index by_customer on orders(customer, amount); create index by_note on orders(note)", 0, 0, 0)) return 4;
  if (sum(db, "select sum(o.amount) from customers c join orders o on o.customer = c.id group by c.name order by 1 desc, c.name") != total)
    return 5;
  if (sum(db, "select count(*) from orders group by note having max(amount) > 0") != orders) return 6;
  if (sum(db, "select count(*) from customers c join orders o on o.customer = c.id where c.name like '%e%' or upper(o.note) > c.name") < 1)
    return 7;
  if (sum(db, "select sum(amount) over (partition by customer order by id) = (select sum(amount) from orders p"
              " where p.customer = o.customer and p.id <= o.id) from orders o where customer < 50") !=
      sum(db, "select count(*) from orders where customer < 50"))
    return 8;
  if (sqlite3_exec(db, "update orders set amount = amount * 2 where customer % 2; delete from orders where customer % 2 = 0", 0, 0, 0))
    return 9;
  return sum(db, "select count(*) from orders where amount % 2") != 0;
}

__attribute__((export_name("run"))) int run(void) {
  sqlite3 *db;
  seed = 0;
  if (sqlite3_open(":memory:", &db)) return 1;
  if (sqlite3_exec(db, "create table customers(id integer primary key, name text); "
                       "create table orders(id integer primary key, customer int, amount int, note text); begin", 0, 0, 0))
    return 2;
  if (fill(db)) return 3;
  int failed = ask(db);
  if (sqlite3_exec(db, "commit", 0, 0, 0) || sqlite3_close(db)) return 10;
  return failed;
}
