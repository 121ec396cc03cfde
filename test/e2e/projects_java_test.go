//go:build e2e

package e2e

import "os"

func javaProjects() map[string]generated {
	env := []string{"KN_LITE_BASE_IMAGE_JAVA=" + os.Getenv("KN_LITE_E2E_JAVA_BASE")}
	program := func(body string) string {
		return `package shop;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class ShopApplication {
    public static void main(String[] args) {
        SpringApplication.run(ShopApplication.class, args);
    }

    @GetMapping("/")
    public String index() {
        return "` + body + `";
    }
}
`
	}
	const source = "src/main/java/shop/ShopApplication.java"
	return map[string]generated{
		"quarkus": {
			env: env,
			// Its own registry of extensions is asked for nothing but news.
			make: [][]string{{
				"mvn", "-B", "-q", "io.quarkus:quarkus-maven-plugin:3.33.2:create", "-DquarkusRegistryClient=false",
				"-DplatformGroupId=io.quarkus", "-DplatformArtifactId=quarkus-bom", "-DplatformVersion=3.33.2",
				"-DprojectGroupId=org.acme", "-DprojectArtifactId=getting-started", "-Dextensions=rest",
			}},
			dir: "getting-started", deploy: []string{"--timeout", "5m"},
			path: "hello", want: "Hello from Quarkus REST",
		},
		"spring-maven": {
			env: env,
			files: map[string]string{
				"pom.xml": `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 https://maven.apache.org/xsd/maven-4.0.0.xsd">
	<modelVersion>4.0.0</modelVersion>
	<parent>
		<groupId>org.springframework.boot</groupId>
		<artifactId>spring-boot-starter-parent</artifactId>
		<version>3.5.7</version>
		<relativePath/>
	</parent>
	<groupId>shop</groupId>
	<artifactId>shop</artifactId>
	<version>0.0.1-SNAPSHOT</version>
	<properties>
		<java.version>17</java.version>
	</properties>
	<dependencies>
		<dependency>
			<groupId>org.springframework.boot</groupId>
			<artifactId>spring-boot-starter-web</artifactId>
		</dependency>
	</dependencies>
	<build>
		<plugins>
			<plugin>
				<groupId>org.springframework.boot</groupId>
				<artifactId>spring-boot-maven-plugin</artifactId>
			</plugin>
		</plugins>
	</build>
</project>
`,
				source:    program("Greetings from Maven"),
				"HELP.md": "# Getting Started\n",
				"src/main/resources/application.properties": "spring.application.name=shop\n",
			},
			deploy: []string{"--timeout", "5m"},
			want:   "Greetings from Maven",
		},
		// Debian's Gradle is 4.4; Spring Boot 2.1 is the last that takes it.
		"spring-gradle": {
			env: env,
			files: map[string]string{
				"settings.gradle": "rootProject.name = 'shop'\n",
				"build.gradle": `buildscript {
    repositories { mavenCentral() }
    dependencies { classpath 'org.springframework.boot:spring-boot-gradle-plugin:2.1.18.RELEASE' }
}

apply plugin: 'java'
apply plugin: 'org.springframework.boot'
apply plugin: 'io.spring.dependency-management'

group = 'shop'
version = '0.0.1-SNAPSHOT'
sourceCompatibility = '1.8'

repositories { mavenCentral() }

dependencies { implementation 'org.springframework.boot:spring-boot-starter-web' }
`,
				source: program("Greetings from Gradle"),
			},
			deploy: []string{"--timeout", "5m"},
			want:   "Greetings from Gradle",
		},
	}
}
