/*
 * SQLite at work: sqlite-transactions work DATABASE | check DATABASE LEAST
 *
 * `work` moves money between accounts forever, each time in a transaction that also counts itself, and prints `done N.` for
 * every 50th once it is committed. `check` wants a database in order, all the money, and no fewer transactions than LEAST,
 * and prints `check ok N.`. SQLite is the amalgamation of the crate libsqlite3-sys (scripts/fetch-programs).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

enum { ACCOUNTS = 100, MONEY = 1000, SHOWN = 50 };

static sqlite3 *database;

static void must(int code, const char *what)
{
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    printf("sqlite: %s: %s\n", what, sqlite3_errmsg(database));
    exit(1);
}

static void run(const char *text)
{
    must(sqlite3_exec(database, text, NULL, NULL, NULL), text);
}

static long number(const char *text)
{
    sqlite3_stmt *statement;
    must(sqlite3_prepare_v2(database, text, -1, &statement, NULL), text);
    must(sqlite3_step(statement), text);
    long found = (long)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

static void prepare(void)
{
    char text[200];
    /* FULL may lose the last transaction in a power cut: the journal's name is not gone for good when it returns. */
    run("PRAGMA synchronous=EXTRA");
    run("BEGIN IMMEDIATE");
    run("CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, money INTEGER, note TEXT)");
    run("CREATE TABLE IF NOT EXISTS moved(id INTEGER PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER)");
    run("CREATE INDEX IF NOT EXISTS by_source ON moved(source, amount)");
    if (number("SELECT count(*) FROM account") == 0) {
        for (int i = 0; i < ACCOUNTS; i++) {
            snprintf(text, sizeof text, "INSERT INTO account VALUES(%d, %d, 'account number %d')", i, MONEY, i);
            run(text);
        }
    }
    run("COMMIT");
}

static void work(void)
{
    char text[300];
    for (long done = number("SELECT coalesce(max(id), 0) FROM moved") + 1;; done++) {
        int source = rand() % ACCOUNTS, target = rand() % ACCOUNTS, amount = rand() % 50;
        run("BEGIN IMMEDIATE");
        snprintf(text, sizeof text,
                 "UPDATE account SET money = money - %d WHERE id = %d; UPDATE account SET money = money + %d WHERE id = %d;"
                 "INSERT INTO moved VALUES(%ld, %d, %d, %d)",
                 amount, source, amount, target, done, source, target, amount);
        run(text);
        if (rand() % 20 == 0) { /* some are taken back */
            run("ROLLBACK");
            done--;
            continue;
        }
        run("COMMIT");
        if (done % 500 == 0) run("DELETE FROM moved WHERE id % 7 = 3 AND id < (SELECT max(id) FROM moved)");
        if (done % SHOWN == 0) {
            printf("done %ld.\n", done);
            fflush(stdout);
        }
    }
}

static int check(long least)
{
    sqlite3_stmt *statement;
    must(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, NULL), "integrity_check");
    must(sqlite3_step(statement), "integrity_check");
    const char *verdict = (const char *)sqlite3_column_text(statement, 0);
    if (!verdict || strcmp(verdict, "ok") != 0) {
        printf("sqlite: integrity_check: %s\n", verdict ? verdict : "nothing");
        return 1;
    }
    sqlite3_finalize(statement);
    long money = number("SELECT sum(money) FROM account"), last = number("SELECT coalesce(max(id), 0) FROM moved");
    if (money != ACCOUNTS * MONEY || last < least) {
        printf("sqlite: %ld of %d in all accounts, %ld of at least %ld transactions\n", money, ACCOUNTS * MONEY, last, least);
        return 1;
    }
    printf("check ok %ld.\n", last);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    must(sqlite3_open(argv[2], &database), argv[2]);
    sqlite3_busy_timeout(database, 10000);
    if (!strcmp(argv[1], "check")) return check(argc > 3 ? atol(argv[3]) : 0);
    prepare();
    work();
    return 0;
}
