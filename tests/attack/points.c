/* Preloaded into a process, this stops it, or lets its disk fail, at one call of its choice.

   A point is a call that changes what lies under the folders that are watched: opening for writing,
   writing, changing a length, flushing, renaming, linking, and making or removing a file or folder.
   Points are counted from 1. Reading is none. It sees what goes through the C library, of Python,
   torch, safetensors and Pillow alike; tests/attack/test_kill.py holds its list against strace's. */

#define _GNU_SOURCE
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
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, KILL, TEAR, NO_SPACE, IO_ERROR };

static char folders[2][PATH_MAX];
static int num_folders, what, list = -1;
static long chosen, passed;
static pid_t owner;
static int full;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Watch two folders. At the point `at`, do `action`; name each point in the file `into`, if any. */
void points_arm(const char *first, const char *second, long at, int action, const char *into) {
  snprintf(folders[0], PATH_MAX, "%s", first);
  snprintf(folders[1], PATH_MAX, "%s", second);
  chosen = at, what = action, passed = 0, full = 0, owner = getpid();
  num_folders = 0;
  if (into && *into) list = open(into, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  num_folders = 2;
}

long points_passed(void) { return passed; }

/* For a process that cannot be told in any other way, such as one that torchrun starts. */
__attribute__((constructor)) static void arm_by_environment(void) {
  const char *at = getenv("POINTS_AT"), *rank = getenv("RANK"), *wanted = getenv("POINTS_RANK");
  if (!at || !rank || !wanted || strcmp(rank, wanted)) return;
  points_arm(getenv("POINTS_FIRST"), getenv("POINTS_SECOND"), atol(at),
             atoi(getenv("POINTS_ACTION")), getenv("POINTS_LIST"));
}

static int of_descriptor(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int of_name(int folder, const char *name, char *path) {
  char base[PATH_MAX];
  if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name), 1;
  if (folder == AT_FDCWD ? !getcwd(base, sizeof base) : !of_descriptor(folder, base)) return 0;
  return snprintf(path, PATH_MAX, "%s/%s", base, name) < PATH_MAX;
}

static int is_watched(const char *path) {
  for (int i = 0; i < num_folders; i++) {
    size_t length = strlen(folders[i]);
    if (length && !strncmp(path, folders[i], length) && (!path[length] || path[length] == '/'))
      return 1;
  }
  return 0;
}

/* Pass a point. Where this gives an error, the call fails with it; -1 is a write to be torn. */
static int pass(const char *call, const char *path, int takes_space) {
  if (!num_folders || getpid() != owner || !is_watched(path)) return 0;
  pthread_mutex_lock(&lock);
  int here = ++passed == chosen, before = errno;
  if (list >= 0) dprintf(list, "%s %s\n", call, path);
  errno = before;
  if (here && what == NO_SPACE) full = 1;
  pthread_mutex_unlock(&lock);
  if (here && what == TEAR && !strcmp(call, "write")) return -1;
  if (here && (what == KILL || what == TEAR)) kill(getpid(), SIGKILL);
  if (here && what == IO_ERROR) return EIO;
  return full && (here || takes_space) ? ENOSPC : 0;
}

#define FAIL(error) \
  do { \
    int failed = (error); \
    if (failed > 0) return errno = failed, -1; \
  } while (0)

#define OPENS(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)))

static int pass_open(int folder, const char *name, int flags) {
  char path[PATH_MAX];
  return OPENS(flags) && of_name(folder, name, path) ? pass("open", path, flags & O_CREAT) : 0;
}

#define MODE(last) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, last); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *name, int flags, ...) {
  MODE(flags)
  REAL(open);
  FAIL(pass_open(AT_FDCWD, name, flags));
  return real(name, flags, mode);
}
int open64(const char *name, int flags, ...) {
  MODE(flags)
  REAL(open64);
  FAIL(pass_open(AT_FDCWD, name, flags));
  return real(name, flags, mode);
}
int openat(int folder, const char *name, int flags, ...) {
  MODE(flags)
  REAL(openat);
  FAIL(pass_open(folder, name, flags));
  return real(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
  MODE(flags)
  REAL(openat64);
  FAIL(pass_open(folder, name, flags));
  return real(folder, name, flags, mode);
}
int creat(const char *name, mode_t mode) { return open(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static int of_file(const char *call, int file, int takes_space) {
  char path[PATH_MAX];
  return num_folders && of_descriptor(file, path) ? pass(call, path, takes_space) : 0;
}

#define WRITE(call, half) \
  do { \
    int point = of_file("write", file, 1); \
    if (point > 0) return errno = point, -1; \
    if (point < 0) half, kill(getpid(), SIGKILL); \
    return call; \
  } while (0)

ssize_t write(int file, const void *data, size_t count) {
  REAL(write);
  WRITE(real(file, data, count), real(file, data, count / 2));
}
ssize_t pwrite(int file, const void *data, size_t count, off_t at) {
  REAL(pwrite);
  WRITE(real(file, data, count, at), real(file, data, count / 2, at));
}
ssize_t pwrite64(int file, const void *data, size_t count, off64_t at) {
  REAL(pwrite64);
  WRITE(real(file, data, count, at), real(file, data, count / 2, at));
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  REAL(writev);
  WRITE(real(file, parts, count), real(file, parts, count / 2));
}

#define CHANGE(name, call, takes_space, parameters, arguments, file) \
  int name parameters { \
    REAL(name); \
    FAIL(of_file(call, file, takes_space)); \
    return real arguments; \
  }
CHANGE(fsync, "fsync", 1, (int file), (file), file)
CHANGE(fdatasync, "fsync", 1, (int file), (file), file)
CHANGE(ftruncate, "truncate", 0, (int file, off_t length), (file, length), file)
CHANGE(ftruncate64, "truncate", 0, (int file, off64_t length), (file, length), file)

int posix_fallocate(int file, off_t at, off_t length) {
  REAL(posix_fallocate);
  int failed = of_file("write", file, 1);
  return failed > 0 ? failed : real(file, at, length);
}
int posix_fallocate64(int file, off64_t at, off64_t length) {
  REAL(posix_fallocate64);
  int failed = of_file("write", file, 1);
  return failed > 0 ? failed : real(file, at, length);
}

static int of_path(const char *call, int folder, const char *name, int takes_space) {
  char path[PATH_MAX];
  return num_folders && of_name(folder, name, path) ? pass(call, path, takes_space) : 0;
}

#define NAME(name, call, takes_space, parameters, arguments, folder, path) \
  int name parameters { \
    REAL(name); \
    FAIL(of_path(call, folder, path, takes_space)); \
    return real arguments; \
  }
NAME(truncate, "truncate", 0, (const char *name, off_t length), (name, length), AT_FDCWD, name)
NAME(truncate64, "truncate", 0, (const char *name, off64_t length), (name, length), AT_FDCWD, name)
NAME(rename, "rename", 1, (const char *old, const char *new), (old, new), AT_FDCWD, old)
NAME(renameat, "rename", 1, (int from, const char *old, int to, const char *new),
     (from, old, to, new), from, old)
NAME(renameat2, "rename", 1,
     (int from, const char *old, int to, const char *new, unsigned int flags),
     (from, old, to, new, flags), from, old)
NAME(link, "link", 1, (const char *old, const char *new), (old, new), AT_FDCWD, new)
NAME(linkat, "link", 1, (int from, const char *old, int to, const char *new, int flags),
     (from, old, to, new, flags), to, new)
NAME(symlink, "link", 1, (const char *old, const char *new), (old, new), AT_FDCWD, new)
NAME(symlinkat, "link", 1, (const char *old, int to, const char *new), (old, to, new), to, new)
NAME(mkdir, "mkdir", 1, (const char *name, mode_t mode), (name, mode), AT_FDCWD, name)
NAME(mkdirat, "mkdir", 1, (int folder, const char *name, mode_t mode), (folder, name, mode), folder,
     name)
NAME(unlink, "unlink", 0, (const char *name), (name), AT_FDCWD, name)
NAME(unlinkat, "unlink", 0, (int folder, const char *name, int flags), (folder, name, flags),
     folder, name)
NAME(rmdir, "unlink", 0, (const char *name), (name), AT_FDCWD, name)
