# What `cmake --install` puts under a prefix: runtime, compiler, tools, headers, and what other projects find them by. The component `python`
# is what a wheel holds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(onager_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Onager)

# The compiler as one shared library that exports the functions of include/onager/Compiler.h alone.
file(WRITE ${PROJECT_BINARY_DIR}/compiler/empty.cpp "")
file(WRITE ${PROJECT_BINARY_DIR}/compiler/exports.map "{ global: extern \"C++\" { onager::compile*; onager::setOption*; onager::specialize*; onager::respecialize*; }; local: *; };\n")
add_library(OnagerCompilerShared SHARED ${PROJECT_BINARY_DIR}/compiler/empty.cpp)
add_library(Onager::Compiler ALIAS OnagerCompilerShared)
target_include_directories(OnagerCompilerShared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(OnagerCompilerShared PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,OnagerCompiler>)
target_link_options(OnagerCompilerShared PRIVATE -Wl,--version-script=${PROJECT_BINARY_DIR}/compiler/exports.map -Wl,--gc-sections)
set_target_properties(OnagerCompilerShared PROPERTIES OUTPUT_NAME onager-compiler EXPORT_NAME Compiler VERSION ${PROJECT_VERSION} SOVERSION 0
  INSTALL_RPATH "$ORIGIN;${LLVM_LIBRARY_DIR}")

install(TARGETS OnagerRuntime OnagerCompilerShared OnagerSpecialize EXPORT OnagerTargets)
install(FILES include/onager-rt/abi.h include/onager-rt/api.h include/onager-rt/onager.hpp include/onager-rt/operators.h include/onager-rt/operators.hpp
  include/onager-rt/plugin.h include/onager-rt/values.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/onager-rt)
install(FILES include/onager/Compiler.h include/onager/Specialize.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/onager)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Other projects compile models while they are built, by the target Onager::onager.
set_target_properties(onager onager-opt PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/..;${LLVM_LIBRARY_DIR}")
install(TARGETS onager EXPORT OnagerTargets)
install(TARGETS onager-opt)

install(EXPORT OnagerTargets NAMESPACE Onager:: DESTINATION ${onager_package_dir})
configure_package_config_file(cmake/OnagerConfig.cmake.in ${PROJECT_BINARY_DIR}/OnagerConfig.cmake INSTALL_DESTINATION ${onager_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/OnagerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/OnagerConfig.cmake ${PROJECT_BINARY_DIR}/OnagerConfigVersion.cmake DESTINATION ${onager_package_dir})
# The prefix is found from where the .pc file lies, so that an installed tree may move.
file(RELATIVE_PATH onager_pkgconfig_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/onager-rt.pc.in ${PROJECT_BINARY_DIR}/onager-rt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/onager-rt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A wheel has no links: the runtime goes in under the name that its users ask the loader for.
# The command line is what makes variants of running models.
install(TARGETS onager RUNTIME DESTINATION onager/bin COMPONENT python EXCLUDE_FROM_ALL)
install(TARGETS _runtime _compiler LIBRARY DESTINATION onager COMPONENT python EXCLUDE_FROM_ALL)
install(FILES $<TARGET_FILE:OnagerSpecialize> RENAME $<TARGET_SONAME_FILE_NAME:OnagerSpecialize> DESTINATION onager COMPONENT python EXCLUDE_FROM_ALL)
install(FILES $<TARGET_FILE:OnagerRuntime> RENAME $<TARGET_SONAME_FILE_NAME:OnagerRuntime> DESTINATION onager COMPONENT python EXCLUDE_FROM_ALL)
