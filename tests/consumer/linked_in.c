/* What library.h says about the OpenSSL that this program is linked with, in one line. */
#include <dlfcn.h>
#include <sallyport.h>
#include <stdio.h>
#include <string.h>

/* Whether the handle is that of the OpenSSL that we call ourselves. */
static const char *describe(void *handle, const char *reason)
{
    if (handle == NULL) {
        return reason != NULL ? "none" : "no reason";
    }
    unsigned long (*number)(void);
    void *found = dlsym(handle, "OpenSSL_version_num");
    memcpy(&number, &found, sizeof number);
    return found != NULL && number() == ssl_openssl_version_number() ? "ours" : "another";
}

int main(void)
{
    const char *ssl_reason = ssl_libssl_load_fail_reason();
    const char *crypto_reason = ssl_libcrypto_load_fail_reason();
    printf("%s, libssl %s, libcrypto %s\n", ssl_available() ? "available" : ssl_load_fail_reason(),
           describe(ssl_libssl(), ssl_reason), describe(ssl_libcrypto(), crypto_reason));
    return 0;
}
