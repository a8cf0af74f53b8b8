/* Preloaded into the process that is to be hurt: counts every call that writes to the store, makes one of them fail or be the
 * last, and keeps apart what an fsync has covered. Understands nothing of the store, so it sees sled's own writes as well.
 *
 *   KPSHIM_ROOT    the store's folder (a real path); other files are left alone
 *   KPSHIM_LOG     gets a line for each call: number, name, file
 *   KPSHIM_AT      the number of the call that is hurt, and how (KPSHIM_DO):
 *     enospc, eio        it fails once            enospc-on, eio-on   it and all after it fail
 *     kill               the process ends before it
 *     hang               it never returns
 *     half               half of what was to be written is written, then the process ends
 *   KPSHIM_ONLY    counts nothing but fdatasync of files with this in their path
 *   KPSHIM_SHADOW  gets what is durable: f-<id> a file's bytes, d-<id> a folder's names, as of the last fsync of each. The id is
 *                  inode and time of birth, as inodes are used again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(ret, name, ...) \
    static ret (*real_##name)(__VA_ARGS__); \
    if (!real_##name) real_##name = (ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static long counted;
static pthread_mutex_t shadow_lock = PTHREAD_MUTEX_INITIALIZER;

static int inside(const char *path) {
    const char *root = getenv("KPSHIM_ROOT");
    size_t length = root ? strlen(root) : 0;
    return length && strncmp(path, root, length) == 0 && (path[length] == '/' || !path[length]);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

/* What is to happen to this call: 0 nothing, an errno, or one of these. */
enum { KILL = -1, HALF = -2, HANG = -3 };

static int fate(const char *name, const char *path) {
    const char *only = getenv("KPSHIM_ONLY");
    if (only && !(strcmp(name, "fdatasync") == 0 && strstr(path, only))) return 0;
    long number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    const char *log = getenv("KPSHIM_LOG");
    if (log) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%ld %s %s\n", number, name, path);
        int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, length);
            close(fd);
        }
    }
    const char *at = getenv("KPSHIM_AT"), *what = getenv("KPSHIM_DO");
    if (!at || !what) return 0;
    long wanted = atol(at);
    int later = strstr(what, "-on") != NULL;
    if (number != wanted && !(later && number > wanted)) return 0;
    if (strncmp(what, "enospc", 6) == 0) return ENOSPC;
    if (strncmp(what, "eio", 3) == 0) return EIO;
    if (strcmp(what, "hang") == 0) return HANG;
    return strcmp(what, "half") == 0 ? HALF : KILL;
}

static int refuse(int error) {
    if (error == HANG)
        for (;;) sleep(1000);
    if (error < 0) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = error;
    return -1;
}

#define BY_FD(name, half) \
    char path[PATH_MAX]; \
    if (path_of(fd, path)) { \
        int what = fate(name, path); \
        if (what == HALF) { half; } \
        if (what) return refuse(what); \
    }

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    BY_FD("write", real_write(fd, bytes, length / 2))
    return real_write(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    BY_FD("writev", real_writev(fd, parts, count / 2))
    return real_writev(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    BY_FD("pwrite", real_pwrite(fd, bytes, length / 2, at))
    return real_pwrite(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    BY_FD("pwrite", real_pwrite64(fd, bytes, length / 2, at))
    return real_pwrite64(fd, bytes, length, at);
}

int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    BY_FD("ftruncate", )
    return real_ftruncate(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    BY_FD("ftruncate", )
    return real_ftruncate64(fd, length);
}

int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    REAL(int, sync_file_range, int, off64_t, off64_t, unsigned);
    BY_FD("sync_file_range", )
    return real_sync_file_range(fd, from, length, flags);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    if (inside(from)) {
        int what = fate("rename", from);
        if (what) return refuse(what);
    }
    return real_rename(from, to);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    if (inside(path)) {
        int what = fate("unlink", path);
        if (what) return refuse(what);
    }
    return real_unlink(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    if (inside(path)) {
        int what = fate("mkdir", path);
        if (what) return refuse(what);
    }
    return real_mkdir(path, mode);
}

/* ---- what is durable ---- */

static int identity(int at, const char *name, int flags, char *id, size_t room) {
    struct statx stat;
    if (statx(at, name, flags, STATX_INO | STATX_BTIME, &stat)) return -1;
    return snprintf(id, room, "%llu-%lld-%u", (unsigned long long)stat.stx_ino,
                    (long long)stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec);
}

static void put(int fd, const char *bytes, ssize_t length) {
    while (length > 0) {
        ssize_t done = syscall(SYS_write, fd, bytes, length);
        if (done <= 0) _exit(97);
        bytes += done;
        length -= done;
    }
}

/* Copies what is there now beside the shadow; it counts once the real call has returned. */
static int keep(int fd, char *unfinished, char *finished) {
    const char *shadow = getenv("KPSHIM_SHADOW");
    char id[96];
    struct stat stat;
    if (!shadow || fstat(fd, &stat) || identity(fd, "", AT_EMPTY_PATH, id, sizeof id) < 0) return 0;
    int folder = S_ISDIR(stat.st_mode);
    snprintf(finished, PATH_MAX, "%s/%c-%s", shadow, folder ? 'd' : 'f', id);
    snprintf(unfinished, PATH_MAX, "%s/new-%ld", shadow, (long)syscall(SYS_gettid));
    int out = syscall(SYS_openat, AT_FDCWD, unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0) _exit(98);
    if (folder) {
        char path[PATH_MAX];
        path_of(fd, path);
        DIR *listing = opendir(path);
        struct dirent *entry;
        while (listing && (entry = readdir(listing))) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
            char line[PATH_MAX];
            if (identity(dirfd(listing), entry->d_name, 0, id, sizeof id) < 0) continue;
            int length = snprintf(line, sizeof line, "%c-%s %s\n", entry->d_type == DT_DIR ? 'd' : 'f', id, entry->d_name);
            put(out, line, length);
        }
        if (listing) closedir(listing);
    } else {
        static char buffer[1 << 16];
        off_t at = 0;
        ssize_t length;
        char again[64];
        snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
        int in = syscall(SYS_openat, AT_FDCWD, again, O_RDONLY, 0);
        while (in >= 0 && (length = pread(in, buffer, sizeof buffer, at)) > 0) {
            put(out, buffer, length);
            at += length;
        }
        if (in >= 0) close(in);
    }
    close(out);
    return 1;
}

static int synced(int fd, int (*real)(int), const char *name) {
    char path[PATH_MAX], unfinished[PATH_MAX], finished[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    int what = fate(name, path);
    if (what) return refuse(what);
    if (!getenv("KPSHIM_SHADOW")) return real(fd);
    pthread_mutex_lock(&shadow_lock);
    int kept = keep(fd, unfinished, finished);
    int result = real(fd);
    if (kept && result == 0) syscall(SYS_renameat, AT_FDCWD, unfinished, AT_FDCWD, finished);
    pthread_mutex_unlock(&shadow_lock);
    return result;
}

int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(fd, real_fsync, "fsync");
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(fd, real_fdatasync, "fdatasync");
}
