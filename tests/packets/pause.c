/* The first process of every pod: it holds the pod's namespaces, reaps what
   has no parent left, and ends when it is told to. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void end(int number) { (void)number; _exit(0); }

int main(void) {
    signal(SIGTERM, end);
    signal(SIGINT, end);
    /* Children that end leave nothing to wait for. */
    signal(SIGCHLD, SIG_IGN);
    for (;;) pause();
}
