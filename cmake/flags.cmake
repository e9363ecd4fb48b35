# What our own targets are compiled with, as an interface target: nothing here reaches a user's code.
# Warnings become errors only where CMAKE_COMPILE_WARNING_AS_ERROR says so (presets and CI).

add_library(sallyport_flags INTERFACE)

set(sally_c_warnings
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wundef
    -Wvla
    -Wformat=2
    -Wwrite-strings
    -Wpointer-arith
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wold-style-definition)
set(sally_cxx_warnings
    -Wall
    -Wextra
    -Wshadow)

set(sally_gnu_like "$<OR:$<C_COMPILER_ID:GNU>,$<C_COMPILER_ID:Clang>,$<C_COMPILER_ID:AppleClang>>")
target_compile_options(sallyport_flags INTERFACE
    "$<$<AND:$<COMPILE_LANGUAGE:C>,${sally_gnu_like}>:${sally_c_warnings}>"
    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,${sally_gnu_like}>:${sally_cxx_warnings}>")

if(SALLYPORT_SANITIZE)
    list(JOIN SALLYPORT_SANITIZE "," sally_sanitizers)
    target_link_options(sallyport_flags INTERFACE -fsanitize=${sally_sanitizers})
    target_compile_options(sallyport_flags INTERFACE
        -fno-omit-frame-pointer $<IF:$<COMPILE_LANGUAGE:C>,-g,-g1>)
    foreach(sanitizer IN LISTS SALLYPORT_SANITIZE)
        if(sanitizer STREQUAL "undefined")
            # C++ is the tests only: what is undefined in them is not what users run, and looking for
            # it would take half of the time that they take to compile.
            target_compile_options(sallyport_flags INTERFACE
                "$<$<COMPILE_LANGUAGE:C>:-fsanitize=undefined;-fno-sanitize-recover=undefined>")
        else()
            target_compile_options(sallyport_flags INTERFACE -fsanitize=${sanitizer})
        endif()
    endforeach()
endif()

if(SALLYPORT_COVERAGE)
    target_compile_options(sallyport_flags INTERFACE --coverage)
    target_link_options(sallyport_flags INTERFACE --coverage)
endif()

find_program(SALLYPORT_GCOVR gcovr)
if(SALLYPORT_COVERAGE AND SALLYPORT_GCOVR)
    add_custom_target(coverage-report
        COMMAND ${SALLYPORT_GCOVR} --root ${PROJECT_SOURCE_DIR} --filter ${PROJECT_SOURCE_DIR}/src/
            --exclude-unreachable-branches --sort-percentage ${PROJECT_BINARY_DIR}
        COMMENT "Lines of src/ that the tests ran"
        VERBATIM)
endif()
