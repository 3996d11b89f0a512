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
endfunction()

# A static library of the compiler: MLIR's headers, no exceptions.
function(onager_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  onager_configure_target(${name})
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${onager_llvm_definitions})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
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
