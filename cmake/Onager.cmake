# The few functions that leaf CMakeLists.txt use. Include roots are the source and build directories and include/.

separate_arguments(onager_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")

function(onager_configure_target name)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter -fvisibility-inlines-hidden)
  if(ONAGER_ASSERTIONS)
    target_compile_options(${name} PRIVATE -UNDEBUG)
  endif()
  if(ONAGER_SANITIZE)
    # LLVM's libraries are not instrumented: no checks of virtual tables; and compiled models carry no marks in front of their functions.
    set(checks -fsanitize=address,undefined -fno-sanitize=vptr,function -fno-sanitize-recover=undefined)
    target_compile_options(${name} PRIVATE ${checks} -fno-omit-frame-pointer)
    target_link_options(${name} PRIVATE ${checks})
  endif()
  if(ONAGER_FUZZERS)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# Most of what a file of the compiler costs is reading MLIR's headers: they are read once for all libraries with the same options. Of
# this tree only what nearly all of their files include is among them: a change to a header builds what includes it. Clang only: what files leave out to include then shows with GCC.
set(onager_mlir_headers <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h> <mlir/IR/Builders.h> <mlir/IR/PatternMatch.h> <mlir/Pass/Pass.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h> <llvm/ADT/STLExtras.h> <llvm/ADT/StringExtras.h>
  ${PROJECT_SOURCE_DIR}/dialects/Graph/IR/Graph.h)
set(onager_code_headers ${onager_mlir_headers} <mlir/Dialect/LLVMIR/LLVMDialect.h> <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Vector/IR/VectorOps.h>)
# Takes what follows the target in target_precompile_headers.
function(onager_precompile name)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>)
    target_precompile_headers(${name} ${ARGN})
  endif()
endfunction()

# A static library of the compiler: MLIR's headers, no exceptions. HEADERS: what is precompiled for it; REUSE: a library whose headers it takes.
function(onager_add_library name)
  cmake_parse_arguments(ARG "" "REUSE" "SOURCES;LINK;DEPENDS;HEADERS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  onager_configure_target(${name})
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${onager_llvm_definitions})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  if(ARG_REUSE)
    onager_precompile(${name} REUSE_FROM ${ARG_REUSE})
  elseif(ARG_HEADERS)
    onager_precompile(${name} PRIVATE ${ARG_HEADERS})
  endif()
endfunction()

# For a library whose passes count what they did (Statistic<> in Passes.td): gives the counters the layout that LLVM's libraries expect.
function(onager_count_passes name)
  target_compile_options(${name} PRIVATE "SHELL:-include ${PROJECT_SOURCE_DIR}/cmake/MatchLLVM.h")
endfunction()

# An executable in build/bin that links the compiler.
function(onager_add_tool name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  onager_configure_target(${name})
  target_include_directories(${name} SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${onager_llvm_definitions})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()
