// What a thread keeps, whichever call it works for.
#pragma once

#include "own/own.hpp"
#include "scratch.hpp"

namespace imagetree {

struct Kept {
  Scratch turbo{0};
  OwnScratch own{0};
};

// May throw std::bad_alloc.
Kept& kept_by_this_thread();

} // namespace imagetree
