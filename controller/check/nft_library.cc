#include "controller/check/nft_library.h"

#include <dlfcn.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/text.h"

namespace podroute {
namespace {

constexpr char kName[] = "libnftables.so.1";

}  // namespace

Result<std::string> ListNftTable(const std::string& family, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
  if (!plain) return Status(StatusCode::kInvalidArgument, "nft cannot be asked for such a name");
  const std::string command = "list table " + family + " " + name;
  // Never unloaded: the libraries that it brings along are not all made for that.
  void* library = dlopen(kName, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    return Status(StatusCode::kUnavailable, std::string(kName) + " is not installed");
  }
  bool complete = true;
  auto find = [&](const char* name, auto* function) {
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(library, name));
    complete = complete && *function != nullptr;
  };
  decltype(&nft_ctx_new) make = nullptr;
  decltype(&nft_ctx_free) free = nullptr;
  decltype(&nft_ctx_output_set_flags) set_flags = nullptr;
  decltype(&nft_ctx_buffer_output) buffer_output = nullptr;
  decltype(&nft_ctx_buffer_error) buffer_error = nullptr;
  decltype(&nft_ctx_get_output_buffer) output = nullptr;
  decltype(&nft_ctx_get_error_buffer) errors = nullptr;
  decltype(&nft_run_cmd_from_buffer) run = nullptr;
  find("nft_ctx_new", &make);
  find("nft_ctx_free", &free);
  find("nft_ctx_output_set_flags", &set_flags);
  find("nft_ctx_buffer_output", &buffer_output);
  find("nft_ctx_buffer_error", &buffer_error);
  find("nft_ctx_get_output_buffer", &output);
  find("nft_ctx_get_error_buffer", &errors);
  find("nft_run_cmd_from_buffer", &run);
  if (!complete) return Status(StatusCode::kInternal, std::string(kName) + ": a function lacks");

  std::unique_ptr<nft_ctx, decltype(free)> context(make(NFT_CTX_DEFAULT), free);
  if (!context) return Status(StatusCode::kInternal, std::string(kName) + ": no context");
  set_flags(context.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE);
  if (buffer_output(context.get()) != 0 || buffer_error(context.get()) != 0) {
    return Status(StatusCode::kInternal, std::string(kName) + ": no buffer");
  }
  if (run(context.get(), command.c_str()) != 0) {
    return Status(StatusCode::kInternal,
                  "nft " + command + ": " + Printable(errors(context.get()), 256));
  }
  return std::string(output(context.get()));
}

}  // namespace podroute
