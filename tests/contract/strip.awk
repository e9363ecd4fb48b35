# Prints C without its comments and without what is inside string and character literals. Include
# lines keep their file names. Lines keep their numbers.
{
    line = $0
    if (!in_comment && line ~ /^[ \t]*#[ \t]*include/) {
        sub(/\/[*\/].*$/, "", line)
        print line
        next
    }
    out = ""
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            if (!at) { line = ""; break }
            line = substr(line, at + 2)
            in_comment = 0
            out = out " "
        } else if (match(line, /\/\*|\/\/|"|'/)) {
            token = substr(line, RSTART, RLENGTH)
            out = out substr(line, 1, RSTART - 1)
            line = substr(line, RSTART + RLENGTH)
            if (token == "/*") in_comment = 1
            else if (token == "//") line = ""
            else {
                out = out token
                while (line != "") {
                    c = substr(line, 1, 1)
                    if (c == "\\") line = substr(line, 3)
                    else {
                        line = substr(line, 2)
                        if (c == token) { out = out token; break }
                    }
                }
            }
        } else {
            out = out line
            line = ""
        }
    }
    print out
}
