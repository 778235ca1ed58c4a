# What `cmake --install` puts down: libraries, headers, programs, and a package that find_package(prefer) reads.
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/prefer)
get_property(layers GLOBAL PROPERTY PREFER_LAYERS)
install(TARGETS ${layers} prefer prefer_flags prefer_openmp ${program_targets} EXPORT prefer)
install(DIRECTORY include/prefer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Public headers include some of kernels/, a name too common for a shared include folder.
install(DIRECTORY kernels DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/prefer/private FILES_MATCHING PATTERN "*.hpp" PATTERN _template EXCLUDE)
install(EXPORT prefer NAMESPACE prefer:: DESTINATION ${package})
configure_file(cmake/preferConfig.cmake.in ${PROJECT_BINARY_DIR}/preferConfig.cmake @ONLY)
install(FILES cmake/LibTorch.cmake ${PROJECT_BINARY_DIR}/preferConfig.cmake DESTINATION ${package})
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/preferConfigVersion.cmake COMPATIBILITY ExactVersion)
install(FILES ${PROJECT_BINARY_DIR}/preferConfigVersion.cmake DESTINATION ${package})
