#include "core/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FIRST_OURS = STDERR_FILENO + 1 };

static int open_again(const char *path, int flags)
{
    int fd;

    do {
        fd = open(path, flags | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int standard_is_free(void)
{
    return fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0;
}

int sslcv__open(const char *path, int flags)
{
    int fillers[FIRST_OURS], count = 0, fd, moved, error;

    /* Meanwhile a folder has the free numbers: what the host prints there fails, as it does on a closed one. */
    while (count < FIRST_OURS && standard_is_free()) {
        fd = open_again("/", O_RDONLY | O_DIRECTORY);
        if (fd < 0) break;
        fillers[count++] = fd;
    }
    fd = open_again(path, flags);
    if (fd >= 0 && fd < FIRST_OURS) { /* another thread's filler has gone in between, or none could be had */
        moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OURS);
        error = errno;
        close(fd);
        errno = error;
        fd = moved;
    }
    error = errno;
    while (count > 0) close(fillers[--count]);
    errno = error;
    return fd;
}

DIR *sslcv__open_folder(const char *path)
{
    const int fd = sslcv__open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    const int error = errno;

    if (fd >= 0 && !folder) close(fd);
    errno = error;
    return folder;
}
