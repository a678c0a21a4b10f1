/* Waits for names to appear in a folder, as programs do that read their configuration again: prints each, with the
   contents of a file at that moment, and ends with one of the names. Arguments: folder, file, contents to end at. */

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char buffer[4096] __attribute__((aligned(8)));
  char text[256];
  int fd = inotify_init();
  if (argc != 4 || fd < 0 || inotify_add_watch(fd, argv[1], IN_CREATE | IN_MOVED_TO) < 0) return 1;
  puts("watching");
  fflush(stdout);
  for (;;) {
    ssize_t length = read(fd, buffer, sizeof buffer);
    if (length <= 0) return 2;
    for (char *at = buffer; at < buffer + length;) {
      struct inotify_event *event = (struct inotify_event *) at;
      at += sizeof *event + event->len;
      if (strcmp(event->name, "..data") != 0) continue;
      FILE *file = fopen(argv[2], "r");
      if (file == NULL || fgets(text, sizeof text, file) == NULL) return 3;
      fclose(file);
      text[strcspn(text, "\n")] = 0;
      printf("told: %s\n", text);
      fflush(stdout);
      if (strcmp(text, argv[3]) == 0) return 0;
    }
  }
}
