package graph

import "net/http"

func graphiql() http.Handler { return http.NotFoundHandler() }
