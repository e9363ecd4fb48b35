# The installed package: library, headers, sallyportConfig.cmake for find_package, sallyport.pc for
# pkg-config.

if(NOT SALLYPORT_INSTALL)
    return()
endif()

include(CMakePackageConfigHelpers)
set(sally_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sallyport)

install(TARGETS sallyport EXPORT sallyportTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT sallyportTargets NAMESPACE sallyport:: DESTINATION ${sally_cmake_dir})

configure_package_config_file(cmake/sallyportConfig.cmake.in
    ${PROJECT_BINARY_DIR}/sallyportConfig.cmake
    INSTALL_DESTINATION ${sally_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sallyportConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/sallyportConfig.cmake
    ${PROJECT_BINARY_DIR}/sallyportConfigVersion.cmake
    DESTINATION ${sally_cmake_dir})

configure_file(cmake/sallyport.pc.in ${PROJECT_BINARY_DIR}/sallyport.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sallyport.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES docs/man/sallyport.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
