// The calls that load a file, as one table, so that each of them can be given the same files.
#ifndef SALLY_TEST_LOADERS_H
#define SALLY_TEST_LOADERS_H

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "sallyport.h"

namespace sallytest
{

// What a loader wants in its file.
enum class Wants { Chain, Key, Roots, Names, Crls, Dh, Ocsp, Directory };

struct Loader {
    const char *name;
    Wants wants;
    // For a server context that has an identity, and the issuer of it among its verify sources.
    std::function<ssl_status(ssl_context *, const char *path, ssl_error *)> load;
    bool in_memory = false;
};

void PrintTo(const Loader &loader, std::ostream *out);

const std::vector<Loader> &all_loaders();

// What the loader would be glad of.
std::string good_content(Wants wants);

} // namespace sallytest
#endif
