// A directory of the test's own, removed with everything in it. Nobody else may write to it.
#ifndef SALLY_TEST_SUPPORT_SCRATCH_DIR_H
#define SALLY_TEST_SUPPORT_SCRATCH_DIR_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace sallytest
{

class ScratchDir
{
  public:
    ScratchDir()
    {
        std::string form = std::filesystem::temp_directory_path() / "sallyport-XXXXXX";
        EXPECT_NE(nullptr, mkdtemp(form.data()));
        root_ = form;
    }
    ~ScratchDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    ScratchDir(const ScratchDir &) = delete;
    ScratchDir &operator=(const ScratchDir &) = delete;

    const std::string &root() const
    {
        return root_;
    }
    std::string path(const std::string &name) const
    {
        return root_ + "/" + name;
    }
    // Writes a file; returns its path.
    std::string write(const std::string &name, const std::string &content) const
    {
        std::ofstream(path(name), std::ios::binary) << content;
        return path(name);
    }

  private:
    std::string root_;
};

} // namespace sallytest
#endif
