#lang racket/base
;; Prints the names that the modules of the collection openssl export, "MODULE NAME" a line.
(define directory (collection-path "openssl"))
(for ([file (in-list (directory-list directory))]
      #:when (regexp-match? #rx"[.]rkt$" (path->string file)))
  (define path (build-path directory file))
  (dynamic-require path (void))
  (define-values (variables syntaxes) (module->exports path))
  (for* ([phase (in-list (append variables syntaxes))]
         [export (in-list (cdr phase))])
    (printf "openssl/~a ~a\n" (path-replace-extension file #"") (car export))))
