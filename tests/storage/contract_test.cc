#include "contract.h"

#include "storage/directory_store.h"
#include "storage/fault_store.h"
#include "storage/memory_store.h"
#include "support/temp_directory.h"

namespace coppice::storage {
namespace {

StoreUnderTest memory() {
  auto store = std::make_shared<MemoryStore>();
  return {store, store.get()};
}

StoreUnderTest directory() {
  struct Kept {
    testing::TempDirectory temp;
    std::unique_ptr<ObjectStore> store = create_directory_store(temp / "vault").value();
  };
  auto kept = std::make_shared<Kept>();
  return {kept, kept->store.get()};
}

StoreUnderTest faultless() {
  struct Kept {
    MemoryStore inner;
    FaultStore store{inner, FaultPlan{.seed = 1}};
  };
  auto kept = std::make_shared<Kept>();
  return {kept, &kept->store};
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract,
                         ::testing::Values(StoreKind{"memory", memory}, StoreKind{"directory", directory},
                                           StoreKind{"faultless", faultless}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace coppice::storage
