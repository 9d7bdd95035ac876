/* The program that the exec rows run: libc's start and end, and nothing between. */
int main(void)
{
    return 0;
}
