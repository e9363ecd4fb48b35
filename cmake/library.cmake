# Two libraries from the same sources: `sallyport`, which users get, and `sallyport_testing`, which
# shows its insides and its hook points to our tests and is never installed.

find_package(OpenSSL 3.0 REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# sally_library(target): what both have in common.
function(sally_library target)
    target_include_directories(${target}
        PUBLIC
            "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
            "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
        PRIVATE ${PROJECT_SOURCE_DIR}/src)
    # Written so that a file's own `#define _GNU_SOURCE` is the same definition.
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
    target_compile_features(${target} PUBLIC c_std_11)
    target_link_libraries(${target} PRIVATE "$<BUILD_INTERFACE:sallyport_flags>"
        OpenSSL::SSL OpenSSL::Crypto Threads::Threads ${CMAKE_DL_LIBS})
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11
        C_STANDARD_REQUIRED ON
        C_EXTENSIONS OFF
        POSITION_INDEPENDENT_CODE ON)
endfunction()

add_library(sallyport ${sally_sources})
add_library(sallyport::sallyport ALIAS sallyport)
sally_library(sallyport)
set_target_properties(sallyport PROPERTIES
    C_VISIBILITY_PRESET hidden
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})

if(BUILD_SHARED_LIBS AND NOT APPLE)
    # The map names the version of our symbols; --exclude-libs keeps the ssl_* of a static OpenSSL in.
    set(sally_map ${PROJECT_SOURCE_DIR}/cmake/sallyport.map)
    target_link_options(sallyport PRIVATE
        "LINKER:--version-script=${sally_map}" "LINKER:--exclude-libs,ALL")
    set_target_properties(sallyport PROPERTIES LINK_DEPENDS ${sally_map})
    if(NOT SALLYPORT_SANITIZE)
        target_link_options(sallyport PRIVATE "LINKER:-z,defs")
    endif()
endif()

# Most of what a round trip costs here is small functions of other files. Not for a static library, whose
# objects would ask the user's compiler for the same.
if(BUILD_SHARED_LIBS)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT sally_whole OUTPUT sally_why_not LANGUAGES C)
    set_target_properties(sallyport PROPERTIES
        INTERPROCEDURAL_OPTIMIZATION_RELEASE ${sally_whole}
        INTERPROCEDURAL_OPTIMIZATION_RELWITHDEBINFO ${sally_whole})
endif()

if(SALLYPORT_BUILD_TESTS)
    add_library(sallyport_testing STATIC ${sally_sources})
    sally_library(sallyport_testing)
    target_include_directories(sallyport_testing PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(sallyport_testing PUBLIC SALLY_TESTING=1)
endif()
