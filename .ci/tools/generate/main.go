// Command generate writes the generated code of all .proto files anew, as `buf generate` does, from the
// Go module proxy alone and in seconds: buf itself takes minutes to build, and protoc is no Go program.
//
//	generate ROOT GOBIN    the repository, and the folder with protoc-gen-go and protoc-gen-connect-go
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// sources are the folders of buf.yaml, each with the one folder below it that has .proto files.
var sources = []struct{ dir, files string }{
	{"fsm", "fsmpb"},
	{"sdk/api", "v1"},
}

// plugins and parameter are those of buf.gen.yaml.
var plugins = []string{"protoc-gen-go", "protoc-gen-connect-go"}

const parameter = "module=github.com/fanfold/fanfold"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate ROOT GOBIN")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root, bin string) error {
	for _, s := range sources {
		files, err := compile(filepath.Join(root, s.dir), s.files)
		if err != nil {
			return err
		}
		for _, plugin := range plugins {
			if err := generate(root, filepath.Join(bin, plugin), files); err != nil {
				return fmt.Errorf("%s of %s/%s: %w", plugin, s.dir, s.files, err)
			}
		}
	}
	return nil
}

// compile compiles the .proto files of a folder, by name.
func compile(dir, folder string) (linker.Files, error) {
	paths, err := filepath.Glob(filepath.Join(dir, folder, "*.proto"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		names = append(names, folder+"/"+filepath.Base(path))
	}
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{dir}},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	return compiler.Compile(context.Background(), names...)
}

func generate(root, plugin string, files linker.Files) error {
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String(parameter)}
	sent := map[string]bool{}
	for _, file := range files {
		request.FileToGenerate = append(request.FileToGenerate, file.Path())
		describe(request, sent, file)
	}
	input, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.Command(plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return err
	}
	response := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(output, response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, f := range response.File {
		path := filepath.Join(root, filepath.FromSlash(f.GetName()))
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// describe adds a file to a request, what it imports before it, each once.
func describe(request *pluginpb.CodeGeneratorRequest, sent map[string]bool, file protoreflect.FileDescriptor) {
	if sent[file.Path()] {
		return
	}
	sent[file.Path()] = true
	for i := range file.Imports().Len() {
		describe(request, sent, file.Imports().Get(i).FileDescriptor)
	}
	request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
}
