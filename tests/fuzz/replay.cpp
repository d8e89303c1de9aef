// Runs a fuzz target over kept inputs: files, and the files of folders. Options are libFuzzer's and
// mean nothing here.
#include "fuzz.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

std::size_t replay(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{path})
      count += replay(entry.path());
    return count;
  }
  std::ifstream file{path, std::ios::binary};
  const std::vector<std::uint8_t> input{std::istreambuf_iterator<char>{file}, {}};
  static_cast<void>(LLVMFuzzerTestOneInput(input.data(), input.size()));
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t inputs = 0;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (!argument.starts_with("-")) inputs += replay(argument);
  }
  std::printf("%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
