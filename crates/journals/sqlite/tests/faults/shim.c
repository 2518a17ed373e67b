/* Stands between a process and its disk (LD_PRELOAD), and makes the n-th call on a file of one folder fail.
 *
 * FAULT_FOLDER  the folder; nothing outside of it is touched
 * FAULT_CALLS   which calls count: any of "read write sync truncate open unlink", with spaces
 * FAULT_AT      which of them is the first to fail, from 1
 * FAULT_LASTS   1 for that one only; 0 for all from there on, until the file `room` is in the folder
 * FAULT_KIND    an errno; or -1: a write puts half of its bytes down and says so; or -2: the process is killed, after
 *               half of the bytes if it is a write
 * FAULT_LOG     a file that says which calls failed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *folder, *calls, *room, *log_path;
static long at, lasts, kind;
static atomic_long count;

__attribute__((constructor)) static void begin(void) {
    static char room_path[PATH_MAX];
    const char *of = getenv("FAULT_FOLDER");
    if (!of || !getenv("FAULT_AT"))
        return;
    snprintf(room_path, sizeof room_path, "%s/room", of);
    room = room_path;
    calls = getenv("FAULT_CALLS");
    at = atol(getenv("FAULT_AT"));
    lasts = atol(getenv("FAULT_LASTS"));
    kind = atol(getenv("FAULT_KIND"));
    log_path = getenv("FAULT_LOG");
    folder = of;
}

static void note(const char *call, const char *path, long number) {
    char line[PATH_MAX + 64];
    const char *name = path + strlen(folder);
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, *name ? name + 1 : "the folder");
    int file = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (syscall(SYS_write, file, line, (size_t)length) != length)
        abort();
    syscall(SYS_close, file);
}

/* Whether this call is to fail. */
static int fails(const char *call, const char *path) {
    if (!folder || strncmp(path, folder, strlen(folder)) || !strstr(calls, call))
        return 0;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (number < at || (lasts && number >= at + lasts) || (!lasts && !syscall(SYS_faccessat, AT_FDCWD, room, F_OK)))
        return 0;
    note(call, path, number);
    return 1;
}

static int file_fails(const char *call, int file) {
    char link[64], path[PATH_MAX];
    if (!folder)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return fails(call, path);
}

static int fail(void) {
    if (kind == -2)
        syscall(SYS_kill, getpid(), SIGKILL);
    errno = kind > 0 ? (int)kind : EIO;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define HALF(bytes) ((bytes) > 1 ? (bytes) / 2 : (bytes))

ssize_t write(int file, const void *from, size_t bytes) {
    if (!file_fails("write", file))
        return REAL(write)(file, from, bytes);
    ssize_t half = kind < 0 ? REAL(write)(file, from, HALF(bytes)) : 0;
    return kind == -1 ? half : fail();
}

ssize_t pwrite(int file, const void *from, size_t bytes, off_t place) {
    if (!file_fails("write", file))
        return REAL(pwrite)(file, from, bytes, place);
    ssize_t half = kind < 0 ? REAL(pwrite)(file, from, HALF(bytes), place) : 0;
    return kind == -1 ? half : fail();
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t place) {
    if (!file_fails("write", file))
        return REAL(pwrite64)(file, from, bytes, place);
    ssize_t half = kind < 0 ? REAL(pwrite64)(file, from, HALF(bytes), place) : 0;
    return kind == -1 ? half : fail();
}

ssize_t read(int file, void *to, size_t bytes) {
    return file_fails("read", file) ? fail() : REAL(read)(file, to, bytes);
}

ssize_t pread(int file, void *to, size_t bytes, off_t place) {
    return file_fails("read", file) ? fail() : REAL(pread)(file, to, bytes, place);
}

ssize_t pread64(int file, void *to, size_t bytes, off64_t place) {
    return file_fails("read", file) ? fail() : REAL(pread64)(file, to, bytes, place);
}

int fsync(int file) {
    return file_fails("sync", file) ? fail() : REAL(fsync)(file);
}

int fdatasync(int file) {
    return file_fails("sync", file) ? fail() : REAL(fdatasync)(file);
}

int ftruncate(int file, off_t length) {
    return file_fails("truncate", file) ? fail() : REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    return file_fails("truncate", file) ? fail() : REAL(ftruncate64)(file, length);
}

int unlink(const char *path) {
    return fails("unlink", path) ? fail() : REAL(unlink)(path);
}

#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;     \
        va_end(rest);                                                 \
        return fails("open", path) ? fail() : REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
