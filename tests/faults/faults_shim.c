/* Counts every call by which a process changes what lies below one folder, and lets a chosen one go wrong.

   It is loaded before the system's library and does nothing until `faults_arm` is called. Calls below the folder go on to the
   kernel one at a time, so that the log has them in the order in which they took place. What the modes mean is said in
   faults_shim.py, which has the same numbers. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, COUNT, KILL, TORN, FULL, READONLY, ERROR, PAUSE };
enum { READ_OFF, READ_COUNT, READ_ERROR, READ_ERROR_ONCE, READ_TRUNCATE, READ_APPEND, READ_REPLACE, READ_DELETE };

#define LENGTH 4352
#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char root[LENGTH];
static int mode = OFF;
static long at, done;
static int log_fd = -1;

static char read_path[LENGTH], read_other[LENGTH];
static int read_action = READ_OFF;
static long read_at, reads;

/* A call that changes the disk: `grows` may run out of space, `changes` is refused by a disk that is read-only. `data` is what
   it writes. */
struct call {
    const char *kind, *path, *other;
    long offset;
    const void *data;
    size_t size;
    int grows, changes;
};

static void path_of(int fd, char *into)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, into, LENGTH - 1);
    into[n > 0 ? n : 0] = 0;
}

static void absolute(int folder, const char *path, char *into)
{
    char base[LENGTH] = "";
    if (path[0] == '/') {
        if (snprintf(into, LENGTH, "%s", path) >= LENGTH)
            abort();
        return;
    }
    if (folder != AT_FDCWD)
        path_of(folder, base);
    else if (syscall(SYS_getcwd, base, sizeof base) < 0)
        abort();
    if (snprintf(into, LENGTH, "%s/%s", base, path) >= LENGTH)
        abort();
}

static int below(const char *path)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int fd_below(int fd, char *path)
{
    if (mode == OFF || fd < 0)
        return 0;
    path_of(fd, path);
    return below(path);
}

static int path_below(int folder, const char *name, char *path)
{
    if (mode == OFF || name == NULL)
        return 0;
    absolute(folder, name, path);
    return below(path);
}

static void put(const void *bytes, size_t n)
{
    while (n) {
        long written = syscall(SYS_write, log_fd, bytes, n);
        if (written <= 0)
            abort();
        bytes = (const char *)bytes + written;
        n -= written;
    }
}

static void note(const struct call *call, long result)
{
    if (log_fd < 0)
        return;
    char head[3 * LENGTH];
    size_t size = call->data && result > 0 ? (size_t)result : 0;
    int n = snprintf(head, sizeof head, "%s\t%s\t%s\t%ld\t%zu\t%ld\n", call->kind, call->path, call->other ? call->other : "",
                     call->offset, size, result);
    put(head, n);
    put(call->data, size);
}

static void die(void)
{
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;)
        ;
}

/* With the order in hand: the error with which the call fails, or 0. `half` says that half of the data is to be written. */
static int verdict(const struct call *call, int *half)
{
    int now = ++done == at, since = at && done >= at;
    int halves = call->data != NULL && call->size > 1;
    *half = 0;
    if (now && (mode == KILL || (mode == TORN && !halves)))
        die();
    if (now && mode == PAUSE)
        syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
    if (since && mode == READONLY && call->changes)
        return EROFS;
    if (since && mode == FULL && call->grows && !(now && halves))
        return ENOSPC;
    if (now && mode == ERROR)
        return EIO;
    *half = now && (mode == FULL || mode == TORN) && halves;
    return 0;
}

static long fails(int error)
{
    errno = error;
    return -1;
}

/* A call that is made as a whole or not at all. */
static long make(struct call call, long number, long a, long b, long c, long d, long e)
{
    int half;
    pthread_mutex_lock(&order);
    int error = verdict(&call, &half);
    long result = error ? fails(error) : syscall(number, a, b, c, d, e);
    int kept = errno;
    note(&call, result);
    pthread_mutex_unlock(&order);
    errno = kept;
    return result;
}

#define CALL(...) ((struct call){__VA_ARGS__})

/* --- writing ------------------------------------------------------------------------------------------------------------ */

/* Writes at `offset`, or (-1) where the descriptor stands. */
static long write_out(int fd, const char *path, const void *data, size_t size, long offset)
{
    int half;
    pthread_mutex_lock(&order);
    struct stat status;
    long place = offset;
    if (place < 0 && syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND)
        place = fstat(fd, &status) ? -1 : status.st_size;
    else if (place < 0)
        place = syscall(SYS_lseek, fd, 0L, SEEK_CUR);
    struct call call = CALL("write", path, NULL, place, data, size, 1, 1);
    int error = verdict(&call, &half);
    size_t n = half ? size / 2 : size;
    long result = error         ? fails(error)
                  : offset < 0 ? syscall(SYS_write, fd, data, n)
                               : syscall(SYS_pwrite64, fd, data, n, offset);
    int kept = errno;
    if (half && mode == TORN)
        die();
    note(&call, result);
    pthread_mutex_unlock(&order);
    errno = kept;
    return result;
}

static long gather(int fd, const char *path, const struct iovec *parts, int count, long offset)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    char *whole = malloc(size + 1), *end = whole;
    if (whole == NULL)
        return fails(ENOMEM);
    for (int i = 0; i < count; end += parts[i++].iov_len)
        memcpy(end, parts[i].iov_base, parts[i].iov_len);
    long result = write_out(fd, path, whole, size, offset);
    free(whole);
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    char path[LENGTH];
    return fd_below(fd, path) ? write_out(fd, path, data, size, -1) : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    char path[LENGTH];
    return fd_below(fd, path) ? write_out(fd, path, data, size, offset) : syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char path[LENGTH];
    return fd_below(fd, path) ? gather(fd, path, parts, count, -1) : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    char path[LENGTH];
    return fd_below(fd, path) ? gather(fd, path, parts, count, offset) : syscall(SYS_pwritev, fd, parts, count, offset, 0L);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev64(fd, parts, count, offset); }

/* Copies inside the kernel are refused below the folder: who asks for one goes on by reading and writing, which is counted. */
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size)
{
    char path[LENGTH];
    return fd_below(to, path) ? fails(EINVAL) : syscall(SYS_sendfile, to, from, offset, size);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return sendfile64(to, from, (off64_t *)offset, size); }

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *place, size_t size, unsigned flags)
{
    char path[LENGTH];
    return fd_below(to, path) ? fails(EXDEV) : syscall(SYS_copy_file_range, from, start, to, place, size, flags);
}

/* So is writing through memory, which no call would tell of. */
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    char path[LENGTH];
    int shared = (flags & MAP_SHARED) && (protection & PROT_WRITE);
    if (shared && fd_below(fd, path))
        return (void *)fails(ENODEV);
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return mmap64(address, size, protection, flags, fd, offset);
}

int ftruncate64(int fd, off64_t size)
{
    char path[LENGTH];
    if (!fd_below(fd, path))
        return syscall(SYS_ftruncate, fd, size);
    struct stat status;
    int grows = fstat(fd, &status) == 0 && size > status.st_size;
    return make(CALL("truncate", path, NULL, size, NULL, 0, grows, 1), SYS_ftruncate, fd, size, 0, 0, 0);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int truncate64(const char *name, off64_t size)
{
    char path[LENGTH];
    if (!path_below(AT_FDCWD, name, path))
        return syscall(SYS_truncate, name, size);
    return make(CALL("truncate", path, NULL, size, NULL, 0, 1, 1), SYS_truncate, (long)name, size, 0, 0, 0);
}

int truncate(const char *name, off_t size) { return truncate64(name, size); }

int fallocate64(int fd, int how, off64_t offset, off64_t size)
{
    char path[LENGTH];
    return fd_below(fd, path) ? fails(EOPNOTSUPP) : syscall(SYS_fallocate, fd, how, offset, size);
}

int fallocate(int fd, int how, off_t offset, off_t size) { return fallocate64(fd, how, offset, size); }

int posix_fallocate64(int fd, off64_t offset, off64_t size) { return fallocate64(fd, 0, offset, size) ? errno : 0; }

int posix_fallocate(int fd, off_t offset, off_t size) { return posix_fallocate64(fd, offset, size); }

static int forced(int fd, const char *path, long number)
{
    return make(CALL("sync", path, NULL, 0, NULL, 0, 0, 0), number, fd, 0, 0, 0, 0);
}

int fsync(int fd)
{
    char path[LENGTH];
    return fd_below(fd, path) ? forced(fd, path, SYS_fsync) : syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    char path[LENGTH];
    return fd_below(fd, path) ? forced(fd, path, SYS_fdatasync) : syscall(SYS_fdatasync, fd);
}

int fchmod(int fd, mode_t bits)
{
    char path[LENGTH];
    if (!fd_below(fd, path))
        return syscall(SYS_fchmod, fd, bits);
    return make(CALL("chmod", path, NULL, bits, NULL, 0, 0, 1), SYS_fchmod, fd, bits, 0, 0, 0);
}

/* --- names -------------------------------------------------------------------------------------------------------------- */

static int opened(int folder, const char *name, int flags, mode_t bits)
{
    char path[LENGTH];
    struct stat status;
    if (!(flags & WRITES) || !path_below(folder, name, path))
        return syscall(SYS_openat, folder, name, flags, bits);
    int exists = fstatat(folder, name, &status, 0) == 0;
    const char *kind = !exists && flags & O_CREAT ? "create" : exists && flags & O_TRUNC ? "empty" : "open";
    return make(CALL(kind, path, NULL, bits, NULL, 0, !exists, 1), SYS_openat, folder, (long)name, flags, bits, 0);
}

static mode_t bits_of(int flags, va_list list) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; }

#define OPENS(folder, name)                                                                                                    \
    va_list list;                                                                                                              \
    va_start(list, flags);                                                                                                     \
    mode_t bits = bits_of(flags, list);                                                                                        \
    va_end(list);                                                                                                              \
    return opened(folder, name, flags, bits)

int open(const char *name, int flags, ...) { OPENS(AT_FDCWD, name); }
int open64(const char *name, int flags, ...) { OPENS(AT_FDCWD, name); }
int openat(int folder, const char *name, int flags, ...) { OPENS(folder, name); }
int openat64(int folder, const char *name, int flags, ...) { OPENS(folder, name); }
int __open_2(const char *name, int flags) { return opened(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return opened(AT_FDCWD, name, flags, 0); }
int __openat_2(int folder, const char *name, int flags) { return opened(folder, name, flags, 0); }
int __openat64_2(int folder, const char *name, int flags) { return opened(folder, name, flags, 0); }
int creat(const char *name, mode_t bits) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, bits); }
int creat64(const char *name, mode_t bits) { return creat(name, bits); }

int mkdirat(int folder, const char *name, mode_t bits)
{
    char path[LENGTH];
    if (!path_below(folder, name, path))
        return syscall(SYS_mkdirat, folder, name, bits);
    return make(CALL("mkdir", path, NULL, bits, NULL, 0, 1, 1), SYS_mkdirat, folder, (long)name, bits, 0, 0);
}

int mkdir(const char *name, mode_t bits) { return mkdirat(AT_FDCWD, name, bits); }

int unlinkat(int folder, const char *name, int flags)
{
    char path[LENGTH];
    if (!path_below(folder, name, path))
        return syscall(SYS_unlinkat, folder, name, flags);
    const char *kind = flags & AT_REMOVEDIR ? "rmdir" : "unlink";
    return make(CALL(kind, path, NULL, 0, NULL, 0, 0, 1), SYS_unlinkat, folder, (long)name, flags, 0, 0);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0 && S_ISDIR(status.st_mode) ? rmdir(name) : unlink(name);
}

int renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
    char source[LENGTH], target[LENGTH];
    int leaves = path_below(from, old, source), comes = path_below(to, name, target);
    if (!leaves && !comes)
        return syscall(SYS_renameat2, from, old, to, name, flags);
    return make(CALL("rename", source, target, flags, NULL, 0, 1, 1), SYS_renameat2, from, (long)old, to, (long)name, flags);
}

int renameat(int from, const char *old, int to, const char *name) { return renameat2(from, old, to, name, 0); }
int rename(const char *old, const char *name) { return renameat2(AT_FDCWD, old, AT_FDCWD, name, 0); }

int linkat(int from, const char *old, int to, const char *name, int flags)
{
    char source[LENGTH], target[LENGTH];
    if (!path_below(to, name, target))
        return syscall(SYS_linkat, from, old, to, name, flags);
    absolute(from, old, source);
    return make(CALL("link", source, target, 0, NULL, 0, 1, 1), SYS_linkat, from, (long)old, to, (long)name, flags);
}

int link(const char *old, const char *name) { return linkat(AT_FDCWD, old, AT_FDCWD, name, 0); }

int symlinkat(const char *says, int folder, const char *name)
{
    char path[LENGTH];
    if (!path_below(folder, name, path))
        return syscall(SYS_symlinkat, says, folder, name);
    return make(CALL("symlink", path, says, 0, NULL, 0, 1, 1), SYS_symlinkat, (long)says, folder, (long)name, 0, 0);
}

int symlink(const char *says, const char *name) { return symlinkat(says, AT_FDCWD, name); }

int fchmodat(int folder, const char *name, mode_t bits, int flags)
{
    char path[LENGTH];
    if (!path_below(folder, name, path))
        return syscall(SYS_fchmodat, folder, name, bits, flags);
    return make(CALL("chmod", path, NULL, bits, NULL, 0, 0, 1), SYS_fchmodat, folder, (long)name, bits, 0, 0);
}

int chmod(const char *name, mode_t bits) { return fchmodat(AT_FDCWD, name, bits, 0); }

/* --- the C library's streams, whose own writing is not seen from here ------------------------------------------------------- */

static ssize_t stream_read(void *fd, char *into, size_t size) { return read((int)(long)fd, into, size); }

static ssize_t stream_write(void *fd, const char *data, size_t size)
{
    ssize_t written = write((int)(long)fd, data, size);
    return written < 0 ? 0 : written;
}

static int stream_seek(void *fd, off64_t *offset, int whence)
{
    off64_t place = lseek64((int)(long)fd, *offset, whence);
    if (place >= 0)
        *offset = place;
    return place < 0 ? -1 : 0;
}

static int stream_close(void *fd) { return close((int)(long)fd); }

FILE *fdopen(int fd, const char *how)
{
    char path[LENGTH];
    FILE *(*plain)(int, const char *) = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    cookie_io_functions_t ours = {stream_read, stream_write, stream_seek, stream_close};
    return fd_below(fd, path) && strpbrk(how, "wa+") ? fopencookie((void *)(long)fd, how, ours) : plain(fd, how);
}

FILE *fopen64(const char *name, const char *how)
{
    char path[LENGTH];
    FILE *(*plain)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen64");
    if (!strpbrk(how, "wa+") || !path_below(AT_FDCWD, name, path))
        return plain(name, how);
    int flags = strchr(how, '+') ? O_RDWR : O_WRONLY;
    flags |= how[0] == 'w' ? O_CREAT | O_TRUNC : how[0] == 'a' ? O_CREAT | O_APPEND : 0;
    int fd = open(name, flags | O_CLOEXEC, 0666);
    return fd < 0 ? NULL : ((FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen"))(fd, how);
}

FILE *fopen(const char *name, const char *how) { return fopen64(name, how); }

/* --- reading one file that changes meanwhile ---------------------------------------------------------------------------- */

static void change_what_is_read(void)
{
    struct stat status;
    const char more[] = "and more\n";
    long fd;
    switch (read_action) {
    case READ_TRUNCATE:
        if (stat(read_path, &status) == 0)
            syscall(SYS_truncate, read_path, status.st_size / 2);
        break;
    case READ_APPEND:
        fd = syscall(SYS_openat, AT_FDCWD, read_path, O_WRONLY | O_APPEND, 0);
        syscall(SYS_write, fd, more, sizeof more - 1);
        syscall(SYS_close, fd);
        break;
    case READ_REPLACE:
        syscall(SYS_renameat2, AT_FDCWD, read_other, AT_FDCWD, read_path, 0);
        break;
    case READ_DELETE:
        syscall(SYS_unlinkat, AT_FDCWD, read_path, 0);
        break;
    }
}

/* Before a read: the error with which it fails, or 0. */
static int before_reading(int fd)
{
    char path[LENGTH];
    if (read_action == READ_OFF || fd < 0)
        return 0;
    path_of(fd, path);
    if (strcmp(path, read_path) != 0)
        return 0;
    pthread_mutex_lock(&order);
    long number = ++reads;
    if (number == read_at)
        change_what_is_read();
    pthread_mutex_unlock(&order);
    int wrong = (read_action == READ_ERROR && number >= read_at) || (read_action == READ_ERROR_ONCE && number == read_at);
    return wrong ? EIO : 0;
}

ssize_t read(int fd, void *into, size_t size)
{
    int error = before_reading(fd);
    return error ? fails(error) : syscall(SYS_read, fd, into, size);
}

ssize_t pread64(int fd, void *into, size_t size, off64_t offset)
{
    int error = before_reading(fd);
    return error ? fails(error) : syscall(SYS_pread64, fd, into, size, offset);
}

ssize_t pread(int fd, void *into, size_t size, off_t offset) { return pread64(fd, into, size, offset); }
ssize_t __read_chk(int fd, void *into, size_t size, size_t room) { return size > room ? fails(EFAULT) : read(fd, into, size); }

ssize_t __pread64_chk(int fd, void *into, size_t size, off64_t offset, size_t room)
{
    return size > room ? fails(EFAULT) : pread64(fd, into, size, offset);
}

ssize_t __pread_chk(int fd, void *into, size_t size, off_t offset, size_t room)
{
    return __pread64_chk(fd, into, size, offset, room);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
    int error = before_reading(fd);
    return error ? fails(error) : syscall(SYS_readv, fd, parts, count);
}

/* --- what the tests call ------------------------------------------------------------------------------------------------ */

void faults_arm(const char *folder, int how, long number, const char *log)
{
    mode = OFF;
    if (log_fd >= 0)
        syscall(SYS_close, log_fd);
    log_fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    snprintf(root, sizeof root, "%s", folder);
    at = number;
    done = 0;
    mode = how;
}

long faults_done(void) { return done; }

void faults_arm_reading(const char *path, int action, long number, const char *other)
{
    snprintf(read_path, sizeof read_path, "%s", path);
    snprintf(read_other, sizeof read_other, "%s", other ? other : "");
    read_action = action;
    read_at = number;
    reads = 0;
}

long faults_reads(void) { return reads; }
