#lang racket/base
;; Racket's own library at the other end of a connection, for racket_test.cc.
;;
;;   racket peer.rkt client port=N [ca=FILE] [name=NAME] [alpn=A,B] [shutdown=yes] do=WHAT ...
;;   racket peer.rkt server cert=STEM [sni=STEM] [alpn=A,B] [match=no] do=WHAT ...
;;
;; A server prints "PORT n" and serves one connection for each `do`; a client makes one for each. `do` is
;; one of the procedures at the end; each says in a line what it saw. A failure says its message.
(require openssl openssl/sha1 racket/string racket/tcp)

(define role (vector-ref (current-command-line-arguments) 0))
(define arguments
  (for/list ([word (in-list (cdr (vector->list (current-command-line-arguments))))])
    (define parts (string-split word "=" #:trim? #f))
    (cons (car parts) (string-join (cdr parts) "="))))
(define (argument key [default #f])
  (define found (assoc key arguments))
  (if found (cdr found) default))
(define whats (for/list ([pair (in-list arguments)] #:when (equal? (car pair) "do")) (cdr pair)))
(define (alpn-argument)
  (map string->bytes/utf-8 (string-split (argument "alpn" "") ",")))

(define (say format-string . values)
  (apply printf format-string values)
  (newline)
  (flush-output))

;; ---- ends -------------------------------------------------------------------------------------

(define (client-context)
  (define context (ssl-make-client-context 'auto))
  (when (argument "ca")
    (ssl-load-verify-source! context (argument "ca"))
    (ssl-set-verify! context #t)
    (ssl-set-verify-hostname! context #t))
  context)

;; Over ports where a name is to be sent that is not the host's, or a goodbye is wanted.
(define (connect)
  (define port (string->number (argument "port")))
  (cond
    [(or (argument "name") (argument "shutdown"))
     (define-values (in out) (tcp-connect "127.0.0.1" port))
     (ports->ssl-ports in out
                       #:mode 'connect
                       #:context (client-context)
                       #:close-original? #t
                       #:shutdown-on-close? (and (argument "shutdown") #t)
                       #:hostname (argument "name" "localhost")
                       #:alpn (alpn-argument))]
    [else (ssl-connect "localhost" port (client-context) #:alpn (alpn-argument))]))

(define (server-context stem)
  (define context (ssl-make-server-context 'auto))
  (ssl-load-certificate-chain! context (string-append stem ".pem"))
  (ssl-load-private-key! context (string-append stem "-key.pem") #f #f)
  (unless (null? (alpn-argument))
    (ssl-set-server-alpn! context (alpn-argument) (not (equal? (argument "match") "no"))))
  context)

(define (listen)
  (define context (server-context (argument "cert")))
  (when (argument "sni")
    (define other (server-context (argument "sni")))
    (ssl-set-server-name-identification-callback!
     context
     (lambda (name)
       (say "asked for ~a" name)
       (and (equal? name "second.example") other))))
  (define listener (ssl-listen 0 5 #t "127.0.0.1" context))
  (define-values (address port far-address far-port) (ssl-addresses listener #t))
  (say "PORT ~a" port)
  listener)

;; ---- what is done with a connection -----------------------------------------------------------

(define (some-bytes n)
  (define block (apply bytes (for/list ([i (in-range 251)]) i)))
  (define all (make-bytes n))
  (for ([start (in-range 0 n 251)])
    (bytes-copy! all start block 0 (min 251 (- n start))))
  all)

;; Sends the size in a line and so many bytes, and wants them back.
(define (ask-for-echo in out n)
  (define sent (some-bytes n))
  (fprintf out "~a\n" n)
  (write-bytes sent out)
  (flush-output out)
  (define back (read-bytes n in))
  (say (if (equal? back sent) "echoed ~a" "echo of ~a is wrong") n))

;; Takes a whole message before it answers: Racket's ports work one direction at a time.
(define (give-echoes in out)
  (define line (read-line in))
  (unless (eof-object? line)
    (define n (string->number line))
    (write-bytes (read-bytes n in) out)
    (flush-output out)
    (say "echoed ~a" n)
    (give-echoes in out)))

;; Everything up to the end; what comes before a cut counts too.
(define (read-all in)
  (define buffer (make-bytes 4096))
  (let loop ([all #""])
    (define n
      (with-handlers ([exn:fail? (lambda (failure) eof)]) (read-bytes-avail! buffer in)))
    (if (eof-object? n) all (loop (bytes-append all (subbytes buffer 0 n))))))

(define (tell in out)
  (say "version ~a" (ssl-protocol-version in))
  (say "alpn ~a" (ssl-get-alpn-selected in))
  (say "subject ~a" (ssl-peer-subject-name in))
  (say "verified ~a" (ssl-peer-verified? in))
  (say "exporter ~a" (bytes->hex-string (ssl-channel-binding in 'tls-exporter))))

(define (act what in out)
  (case what
    [("echo") (if (equal? role "client")
                  (for ([n (in-list '(1 100 16384 16385 1000000))]) (ask-for-echo in out n))
                  (give-echoes in out))]
    [("tell") (tell in out)]
    ;; Sends its last words, closes that side, and reads on.
    [("half-close")
     (write-bytes #"last words" out)
     (close-output-port out)
     (say "read ~a" (read-all in))]
    ;; The same, but gives the side up.
    [("abandon")
     (write-bytes #"kept" out)
     (ssl-abandon-port out)
     (say "read ~a" (read-all in))]
    [("read") (say "read ~a" (read-all in))]
    [("nothing") (void)]))

(define (serve what make)
  (with-handlers ([exn:fail? (lambda (failure) (say "failed: ~a" (exn-message failure)))])
    (define-values (in out) (make))
    (act what in out)
    (close-output-port out)
    (close-input-port in)))

(cond
  [(equal? role "client") (for ([what (in-list whats)]) (serve what connect))]
  [else
   (define listener (listen))
   (for ([what (in-list whats)]) (serve what (lambda () (ssl-accept listener))))])
(say "done")
