// Command registry is a registry of container images in memory: what Docker
// Hub is to a cluster that has one. Each image is one static program.
//
//	registry --listen ADDRESS:5000 NAME[:TAG]=PROGRAM …
//
// It prints "ready" when every image can be pulled. containerd is told to use
// it as the mirror of docker.io, so that names stay what users write.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	listen := flag.String("listen", "", "address and port")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Handler: registry.New(registry.Logger(log.New(os.Stderr, "", log.LstdFlags)))}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	for _, argument := range flag.Args() {
		image, program, ok := strings.Cut(argument, "=")
		if !ok {
			log.Fatalf("%s: it must be NAME=PROGRAM", argument)
		}
		if err := push(listener.Addr().String()+"/"+image, program); err != nil {
			log.Fatalf("%s: %v", argument, err)
		}
	}
	fmt.Println("ready")
	log.Fatal(<-ended)
}

// push makes an image with nothing but the program in it, and its entry point.
func push(image, program string) error {
	reference, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	file := "/" + filepath.Base(program)
	layer, err := layerOf(file, content)
	if err != nil {
		return err
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	made, err = mutate.ConfigFile(made, configOf(made, file))
	if err != nil {
		return err
	}
	return remote.Write(reference, made)
}

func layerOf(file string, content []byte) (v1.Layer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	head := &tar.Header{Name: strings.TrimPrefix(file, "/"), Mode: 0o755, Size: int64(len(content))}
	if err := writer.WriteHeader(head); err != nil {
		return nil, err
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
}

func configOf(image v1.Image, file string) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		log.Fatal(err)
	}
	config = config.DeepCopy()
	config.Architecture = runtime.GOARCH
	config.OS = "linux"
	config.Config.Entrypoint = []string{file}
	return config
}
