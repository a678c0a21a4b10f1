// Makes the system calls that it is told to make, one after the other, and prints what the kernel says:
// the result, or minus the error number.
//
//   probe CALL...     CALL is NUMBER[:ARGUMENT[,ARGUMENT]...]; an argument is a number or 'text for a pointer
//                     with the prefix "i386:" the call is made as 32-bit programs of x86 make it

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

#define ARGUMENTS 6

static long call_native(long number, const long *a) {
  long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -1 ? -errno : result;
}

#ifdef __x86_64__
static long call_i386(long number, const long *a) {
  int result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"((int)number), "b"((int)a[0]), "c"((int)a[1]), "d"((int)a[2]), "S"((int)a[3])
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#else
static long call_i386(long number, const long *a) { return -ENOSYS; }
#endif

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  for (int i = 1; i < argc; i++) {
    char *text = argv[i];
    int is_i386 = strncmp(text, "i386:", 5) == 0;
    if (is_i386) text += 5;
    long arguments[ARGUMENTS] = {0};
    long number = strtol(text, &text, 0);
    for (int n = 0; n < ARGUMENTS && *text != '\0'; n++) {
      text++;
      if (*text == '\'') {
        char *end = strchr(text, ',');
        if (end != NULL) *end = '\0';
        arguments[n] = (long)strdup(text + 1);
        if (end == NULL) text += strlen(text);
        else *(text = end) = ',';
      } else {
        arguments[n] = strtoul(text, &text, 0);
      }
    }
    printf("%ld\n", is_i386 ? call_i386(number, arguments) : call_native(number, arguments));
  }
  return 0;
}
